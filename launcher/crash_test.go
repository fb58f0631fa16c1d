//go:build linux || windows

package launcher

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"kpm/core"
	"kpm/core/wire"
	"kpm/launcher/journal"
)

// serveForever is a service that launches one command after the other, each of
// which leaves a file by the name of its session, which is the child that the
// journal names, and stays. Once it has started
// as many as LAUNCHER_TEST_COMMANDS says, it stops where LAUNCHER_TEST_STOP
// says, prints the child that the launch has by then, and waits to be killed.
func serveForever(root string) {
	m, err := newMachine(root)
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	commands, stop := os.Getenv("LAUNCHER_TEST_COMMANDS"), os.Getenv("LAUNCHER_TEST_STOP")
	var last atomic.Bool
	at := func(here string, child core.ProcessID) {
		if !last.Load() || here != stop {
			return
		}
		fmt.Println("at", child.PID, child.Start)
		for {
			time.Sleep(time.Hour)
		}
	}
	m.cfg.Launcher = stopping{m.cfg.Launcher, at}
	m.decide = func(wire.PolicyRequest) core.Outcome {
		at(stopEvaluating, core.ProcessID{})
		return core.Allow
	}
	for i := 0; ; i++ {
		last.Store(fmt.Sprint(i) == commands)
		started := make(chan struct{})
		go m.mark(func() { close(started) })
		<-started
		fmt.Println(i)
	}
}

// Wherever in a launch the service is killed: what ran is in the journal, and
// the next service ends it and says so. Each round shows from the journal that
// the kill met the place it is about.
func TestNothingRunsThatTheJournalDoesNotName(t *testing.T) {
	root := newRoot(t)
	if err := os.Mkdir(filepath.Join(root, "marks"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, stop := range stops {
		for commands := 1; commands <= 2; commands++ {
			t.Run(fmt.Sprintf("%s after %d", stop.at, commands), func(t *testing.T) {
				child := killedAt(t, root, stop.at, commands)
				if types := lastRequest(t, root); !slices.Equal(types, stop.recorded) {
					t.Fatalf("the kill missed: the last request has records %v", types)
				}
				m, err := newMachine(root)
				if err != nil {
					t.Fatal(err)
				}
				if types := lastRequest(t, root); !slices.Equal(types, append(slices.Clone(stop.recorded), journal.Failed)) {
					t.Errorf("after the restart the last request has records %v", types)
				}
				for range 1000 { // an unreleased child ends by itself
					if child.PID == 0 || !m.host.Tree.Alive(child) {
						break
					}
					time.Sleep(10 * time.Millisecond)
				}
				if child.PID != 0 && m.host.Tree.Alive(child) {
					t.Errorf("the last request's child %s still runs", child)
				}
				whatRan(t, m, commands, stop.at == stopReleased)
				if err := m.stop(context.Background()); err != nil {
					t.Error(err)
				}
				report, err := journal.Verify(context.Background(), filepath.Join(root, "Audit"), filepath.Join(root, "State"), journal.Demand{})
				if err != nil || report.Fault != nil || len(report.Noted) > 0 {
					t.Errorf("the journal: %v, %v, %v", err, report.Fault, report.Noted)
				}
			})
		}
	}
}

// killedAt runs a service, kills it where it stops after some commands, and
// returns the child that its last launch had by then.
func killedAt(t *testing.T, root, stop string, commands int) (child core.ProcessID) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "LAUNCHER_TEST_SERVICE="+root, "LAUNCHER_TEST_HELPER="+helper,
		"LAUNCHER_TEST_STOP="+stop, fmt.Sprint("LAUNCHER_TEST_COMMANDS=", commands))
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for i := range commands {
		if !lines.Scan() || lines.Text() != fmt.Sprint(i) {
			t.Errorf("the service said %q", lines.Text())
		}
	}
	if lines.Scan(); !t.Failed() {
		if _, err := fmt.Sscanf(lines.Text(), "at %d %d", &child.PID, &child.Start); err != nil {
			t.Errorf("the service said %q", lines.Text())
		}
	}
	for range 1000 { // until the commands have left their marks
		if marks, _ := os.ReadDir(filepath.Join(root, "marks")); t.Failed() || len(marks) >= commands {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	cmd.Process.Kill()
	cmd.Wait()
	if t.Failed() {
		t.FailNow()
	}
	return child
}

// whatRan holds what the commands left behind against the journal: those before
// the last one, which has run only if it was released.
func whatRan(t *testing.T, m *machine, commands int, released bool) {
	t.Helper()
	marks, err := os.ReadDir(filepath.Join(m.root, "marks"))
	// Of a command that was just released nobody knows how far it came.
	if err != nil || len(marks) != commands && !(released && len(marks) == commands+1) {
		t.Errorf("%d commands ran, %v", len(marks), err)
	}
	launched := map[string]bool{}
	for _, r := range m.records(t, journal.Launched) {
		launched[fmt.Sprint(r.Child.PID)] = true
	}
	for _, mark := range marks {
		number := mark.Name()
		if !launched[number] {
			t.Errorf("process %s ran and is not in the journal", number)
		}
		if stillHeld(number) {
			t.Errorf("process %s still runs", number)
		}
		os.Remove(filepath.Join(m.root, "marks", number))
	}
	ended := 0
	failed := m.records(t, journal.Failed)
	for _, r := range failed[len(failed)-commands-1:] { // of this round
		if r.Message != "service-restarted" {
			t.Errorf("recorded %+v", r)
		}
		if r.Killed > 0 {
			ended++
		}
	}
	if ended < commands {
		t.Errorf("%d of %d commands were ended", ended, commands)
	}
}
