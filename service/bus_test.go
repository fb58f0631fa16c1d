package service

import (
	"bytes"
	"log/slog"
	"os"
	"strings"
	"testing"

	"kpm/core"
	"kpm/core/wire"
	"kpm/launcher"
	"kpm/launcher/journal"
)

// Attack: a job ends its request with an answer of its own. The launcher, which
// is not here, is never told.
func TestAJobsFinalAnswerMovesNothing(t *testing.T) {
	var out bytes.Buffer
	s := &service{log: slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug}))}
	run := core.Principal{Kind: core.JobRun, Name: "j", Run: "r", Request: "R1"}
	m, err := wire.New(wire.TypeFinalAnswer, run.String(), wire.PolicyResponse{RequestID: "R1", Decision: core.Allow})
	if err != nil {
		t.Fatal(err)
	}
	s.answered(run, "Replies/KeeperPrivilegeManager/R1", m)
	if got := out.String(); !strings.Contains(got, `level=DEBUG msg="a job's final answer" from=j topic=Replies/KeeperPrivilegeManager/R1`) || strings.Count(got, "\n") != 1 {
		t.Errorf("logged %s", got)
	}
}

// Attack: a plugin of KeeperPolicy's name runs as a user, and says that no policy restricts
// executions. Whoever stops programs, who is not here, is never told.
func TestAnInstanceOfAUsersSaysNothingAboutPolicies(t *testing.T) {
	var out bytes.Buffer
	log := slog.New(slog.NewTextHandler(&out, nil))
	j, _, err := journal.Open(journal.Config{AuditDir: t.TempDir(), StateDir: t.TempDir(), WriteAtomic: os.WriteFile})
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	s := &service{log: log, launcher: launcher.New(launcher.Config{Journal: j, Log: log})}
	theirs := core.Principal{Kind: core.Plugin, Name: wire.PolicyPlugin, User: "1000", InUserSession: true}
	m, err := wire.New(wire.TypePolicyResponse, theirs.String(), wire.PolicyResponse{RequestID: "R1", Decision: core.Allow, Generation: "another"})
	if err != nil {
		t.Fatal(err)
	}
	s.answered(theirs, "Replies/KeeperPrivilegeManager/R1", m)
	if got := out.String(); !strings.Contains(got, "an answer was not taken") {
		t.Errorf("logged %q", got)
	}
}
