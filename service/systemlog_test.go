package service

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"kpm/launcher"
	"kpm/launcher/journal"
)

// Lines as sudo 1.9 writes them, and no field that looks like two.
func TestElevationsAsSudoLogsThem(t *testing.T) {
	told := launcher.Told{
		Request: "R1", UserID: "1000", User: "alice", Terminal: "pts/3", Directory: "/home/alice", Target: "root",
		Program: "/usr/bin/id", Argv: []string{"id", "-u"}, Outcome: journal.Launched,
	}
	for want, change := range map[string]func(*launcher.Told){
		"alice : TTY=pts/3 ; PWD=/home/alice ; USER=root ; REQUEST=R1 ; COMMAND=/usr/bin/id -u": func(*launcher.Told) {},
		"alice : command not allowed ; TTY=pts/3 ; PWD=/home/alice ; USER=root ; REQUEST=R1 ; COMMAND=/usr/bin/id -u": func(t *launcher.Told) {
			t.Outcome = journal.Denied
		},
		"alice : not allowed in time ; TTY=unknown ; PWD=/home/alice ; USER=root ; REQUEST=R1 ; COMMAND=/usr/bin/id": func(t *launcher.Told) {
			t.Outcome, t.Terminal, t.Argv = journal.Expired, "", []string{"id"}
		},
		"1000 : command not run ; TTY=pts/3 ; PWD=/x#040#073#040USER#075nobody ; USER=root ; REQUEST=R1 ; COMMAND=/usr/bin/id a\uFFFDb ; USER=eve": func(t *launcher.Told) {
			t.Outcome, t.User, t.Directory, t.Argv = journal.Failed, "", "/x ; USER=nobody", []string{"id", "a\nb ; USER=eve"}
		},
	} {
		one := told
		change(&one)
		if got := sudoLine(one); got != want {
			t.Errorf("%s\nwant %s", got, want)
		}
	}
	told.Argv = []string{"id", strings.Repeat("ä", maxCommand)}
	if got := sudoLine(told); len(got) > maxCommand+200 || strings.Contains(got, "\uFFFD") {
		t.Errorf("%d bytes", len(got))
	}
}

// daemon is a log daemon.
type daemon struct {
	lines  []string
	broken bool
	opened int
	closed bool
}

func (d *daemon) open() (SystemLog, error) {
	d.opened++
	if d.broken {
		return (*daemon)(nil), errors.New("no log daemon") // which is no nil SystemLog
	}
	return d, nil
}

func (d *daemon) Write(level, line string) error {
	d.lines = append(d.lines, level+" "+line)
	return nil
}

func (d *daemon) Close() error {
	d.closed = true
	return nil
}

// Attack: somebody asks for what they may not have as fast as they can. It costs
// neither the machine's log nor the lines of others, and no elevation waits.
func TestTheSystemLogIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d daemon
		s := newSystemLogger(d.open)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); s.run(ctx, func(err error) { t.Error(err) }) }()
		for range 1000 {
			s.told(launcher.Told{UserID: "1000", User: "mallory", Outcome: journal.Denied})
		}
		s.told(launcher.Told{UserID: "1001", User: "alice", Outcome: journal.Denied})
		s.told(launcher.Told{UserID: "1000", User: "mallory", Outcome: journal.Launched})
		synctest.Wait()
		count := func(what string) (n int) {
			for _, line := range d.lines {
				if strings.Contains(line, what) {
					n++
				}
			}
			return n
		}
		lost := 0
		for _, line := range d.lines {
			n := 0
			if _, err := fmt.Sscanf(line, "Warning %d lines about requests", &n); err == nil {
				lost += n
			}
		}
		if count("Warning mallory") != refusalsAtOnce || count("Warning alice") != 1 || count("Information mallory") != 1 || lost != 1000-refusalsAtOnce {
			t.Errorf("%d lines: %q", len(d.lines), d.lines[len(d.lines)-3:])
		}
		cancel()
		<-done
		if !d.closed {
			t.Error("the log is still open")
		}
	})
}

// A log daemon that comes late gets what comes then, and is told what it missed.
func TestALogDaemonThatComesLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := daemon{broken: true}
		s := newSystemLogger(d.open)
		ctx, cancel := context.WithCancel(t.Context())
		done, failed := make(chan struct{}), 0
		go func() { defer close(done); s.run(ctx, func(error) { failed++ }) }()
		told := launcher.Told{UserID: "1", User: "alice", Outcome: journal.Launched}
		s.told(told)
		synctest.Wait()
		d.broken = false
		s.told(told)
		cancel()
		<-done
		if failed != 1 || d.opened != 2 || len(d.lines) != 2 || !slices.ContainsFunc(d.lines, func(l string) bool { return strings.Contains(l, "1 lines about requests") }) {
			t.Errorf("%d failures, opened %d times: %q", failed, d.opened, d.lines)
		}
	})
}
