package service

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"kpm/core"
	"kpm/core/wire"
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
