package launcher

import (
	"context"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"kpm/core"
	"kpm/core/wire"
	"kpm/launcher/journal"
)

// Whoever reads the system's log hears of each command once, when it runs, and of
// each one that does not, with the secrets masked that the journal masks.
func TestTheSystemIsTold(t *testing.T) {
	told := make(chan Told, 4)
	w := newWorld(t, func(w *world, c *Config) {
		if err := c.Journal.Close(); err != nil {
			t.Fatal(err)
		}
		var err error
		c.Journal, _, err = journal.Open(journal.Config{
			AuditDir: w.path("audit2"), StateDir: w.path("state2"), Mask: []*regexp.Regexp{regexp.MustCompile("^--password")},
			WriteAtomic: func(path string, data []byte, perm os.FileMode) error { return os.WriteFile(path, data, perm) },
		})
		if err != nil {
			t.Fatal(err)
		}
		w.journal, c.Told = c.Journal, func(one Told) { told <- one }
	})
	k := w.submission("tool", "--password=s3cret")
	k.Streams.Input.Close()
	tty := w.path("tty")
	if err := os.WriteFile(tty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	k.Streams.Input = w.handle(tty)
	v := w.elevate(k)
	v.answer(core.Deny)
	v.refused()
	want := Told{
		Request: v.id, UserID: "1000", User: "ada", Terminal: "pts/7", Directory: w.dir, Target: "root",
		Program: w.path("bin/tool"), Argv: []string{"tool", "--password=***"}, Outcome: journal.Denied,
	}
	if diff := cmp.Diff(want, <-told); diff != "" {
		t.Error(diff)
	}

	v = w.elevate(w.submission("tool"))
	v.answer(core.Allow)
	v.event(wire.EventLaunch)
	if err := w.Launch(context.Background(), v.job(wire.EventLaunch), v.id); err != nil {
		t.Fatal(err)
	}
	<-v.caller.started
	want.Request, want.Terminal, want.Argv, want.Outcome = v.id, "", []string{"tool"}, journal.Launched
	if diff := cmp.Diff(want, <-told); diff != "" {
		t.Error(diff)
	}
	w.launch.last().process.exit(core.ExitStatus{})
	<-v.result
	if len(told) > 0 {
		t.Errorf("and then %+v", <-told)
	}
	if s := w.Stats(); s.Answers[Answer{OutcomeRefused, "denied"}] != 1 || s.Answers[Answer{OutcomeRan, ""}] != 1 {
		t.Errorf("counted %+v", s.Answers)
	}
	if strings.Contains(w.recorded(), "s3cret") {
		t.Error(w.recorded())
	}
}
