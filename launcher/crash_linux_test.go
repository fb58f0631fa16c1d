package launcher

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"kpm/core"
	"kpm/core/door"
	"kpm/core/port"
	"kpm/core/wire"
	"kpm/launcher/journal"
	window "kpm/vmtests/terminal"
)

// Where the service of the crash test stops: what has just happened to its last
// request.
const (
	stopEvaluating = "evaluating" // policy was asked
	stopLaunching  = "launching"  // the launch job has asked, no child is held
	stopHeld       = "held"       // a child is held, which the journal does not name
	stopRecorded   = "recorded"   // the journal names the child durably, it is held
	stopReleased   = "released"   // the program was executed
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
			unix.Pause()
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
		go m.run(call{
			command: "sh", argv: []string{"-c", fmt.Sprintf("read -r _ _ _ _ _ session _ </proc/$$/stat; : >%s/marks/$session; exec sleep 1000", root)},
			started: func(*os.File) { close(started) },
		})
		<-started
		fmt.Println(i)
	}
}

// stopping is a Launcher that calls at before and after each step of a launch.
type stopping struct {
	port.Launcher
	at func(here string, child core.ProcessID)
}

func (s stopping) Prepare(ctx context.Context, spec port.LaunchSpec) (port.Held, error) {
	s.at(stopLaunching, core.ProcessID{})
	held, err := s.Launcher.Prepare(ctx, spec)
	if err != nil {
		return nil, err
	}
	s.at(stopHeld, held.ID())
	return stoppingHeld{held, s.at}, nil
}

type stoppingHeld struct {
	port.Held
	at func(here string, child core.ProcessID)
}

func (h stoppingHeld) Release(ctx context.Context) (port.Process, error) {
	h.at(stopRecorded, h.ID())
	p, err := h.Held.Release(ctx)
	h.at(stopReleased, h.ID())
	return p, err
}

// Wherever in a launch the service is killed: what ran is in the journal, and
// the next service ends it and says so. Each round shows from the journal that
// the kill met the place it is about.
func TestNothingRunsThatTheJournalDoesNotName(t *testing.T) {
	root := newRoot(t)
	if err := os.Mkdir(root+"/marks", 0o755); err != nil {
		t.Fatal(err)
	}
	for _, stop := range []struct {
		at       string
		recorded []journal.Type // of the last request when the service is killed
	}{
		{stopEvaluating, []journal.Type{journal.Opened, journal.Evaluating}},
		{stopLaunching, []journal.Type{journal.Opened, journal.Evaluating, journal.Allowed, journal.Launching}},
		{stopHeld, []journal.Type{journal.Opened, journal.Evaluating, journal.Allowed, journal.Launching}},
		{stopRecorded, []journal.Type{journal.Opened, journal.Evaluating, journal.Allowed, journal.Launching, journal.Launched}},
		{stopReleased, []journal.Type{journal.Opened, journal.Evaluating, journal.Allowed, journal.Launching, journal.Launched}},
	} {
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
				report, err := journal.Verify(context.Background(), root+"/Audit", root+"/State", journal.Demand{})
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
		if marks, _ := os.ReadDir(root + "/marks"); t.Failed() || len(marks) >= commands {
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

// lastRequest returns the types of the records of the request opened last.
func lastRequest(t *testing.T, root string) (types []journal.Type) {
	t.Helper()
	var last core.RequestID
	err := journal.Tail(context.Background(), root+"/Audit", 1<<20, false, func(_ []byte, r journal.Record) error {
		if r.Type == journal.Opened {
			last, types = r.Request, nil
		}
		if r.Request == last && last != "" {
			types = append(types, r.Type)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return types
}

// whatRan holds what the commands left behind against the journal: those before
// the last one, which has run only if it was released.
func whatRan(t *testing.T, m *machine, commands int, released bool) {
	t.Helper()
	marks, err := os.ReadDir(m.root + "/marks")
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
		if cmdline, err := os.ReadFile("/proc/" + number + "/cmdline"); err == nil && strings.HasPrefix(string(cmdline), "keeperlaunch") {
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

// sleeper starts a command that has a child in the background and stays, and
// returns the command's process.
func sleeper(t *testing.T, m *machine, ctx context.Context) (core.ProcessID, chan Result) {
	t.Helper()
	started, result := make(chan struct{}), make(chan Result, 1)
	go func() {
		r, _, err := m.run(call{
			command: "sh", argv: []string{"-c", "trap '' HUP; sleep 1000 & sleep 1000"}, ctx: ctx, key: door.Key{1},
			started: func(*os.File) { close(started) },
		})
		if err != nil {
			t.Error(err)
		}
		result <- r
	}()
	<-started
	launched := m.records(t, journal.Launched)
	return launched[len(launched)-1].Child.ID(), result
}

// descendant waits for a child of root and returns it.
func descendant(t *testing.T, m *machine, root core.ProcessID) core.ProcessID {
	t.Helper()
	for range 1000 {
		data, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", root.PID, root.PID))
		if fields := strings.Fields(string(data)); err == nil && len(fields) > 0 {
			var id core.ProcessID
			fmt.Sscan(fields[0], &id.PID)
			id.Start = startOf(t, id.PID)
			return id
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("it has no child")
	return core.ProcessID{}
}

func startOf(t *testing.T, pid int) uint64 {
	t.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(data), ") ")
	var start uint64
	if _, err := fmt.Sscan(strings.Fields(rest)[19], &start); err != nil {
		t.Fatal(err)
	}
	return start
}

func TestARealCallerWhoLeavesTakesTheWholeGroupAlong(t *testing.T) {
	m := startMachine(t)
	m.cfg.Grace = 100 * time.Millisecond
	ctx, leave := context.WithCancel(context.Background())
	defer leave()
	id, result := sleeper(t, m, ctx)
	child := descendant(t, m, descendant(t, m, id))
	leave()
	if r := <-result; r.Exit.Signal != 9 {
		t.Errorf("ended with %+v", r)
	}
	for range 500 {
		if !m.host.Tree.Alive(child) {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Error("its child is still there")
}

func TestARealCommandIsNeverAdminAndAPluginsChildIsThePlugin(t *testing.T) {
	m := startMachine(t)
	ctx, leave := context.WithCancel(context.Background())
	m.cfg.Grace = time.Millisecond
	id, result := sleeper(t, m, ctx)
	root := func(ids ...core.ProcessID) core.Peer {
		return core.Peer{User: "0", Administrator: true, Processes: ids, SameIdentity: true}
	}
	child := descendant(t, m, descendant(t, m, id))
	for _, p := range []core.ProcessID{id, child} {
		if who, group := m.registry.Identify(root(p)); who.Kind != core.User || group != id {
			t.Errorf("process %s is %v in %v", p, who.Kind, group)
		}
	}
	as := core.Principal{Kind: core.Plugin, Name: "KeeperLogger"}
	script := m.write(t, "bin/plugin", "#!/bin/sh\nsleep 1000 & wait\n", 0o755, 0)
	plugin, err := m.starter.StartService(context.Background(), core.ServiceSpec{As: as, Path: script, Argv: []string{"plugin"}, Dir: m.root})
	if err != nil {
		t.Fatal(err)
	}
	if who, group := m.registry.Identify(root(descendant(t, m, plugin.ID()))); who != as || group != plugin.ID() {
		t.Errorf("a plugin's child is %+v in %v", who, group)
	}
	if who, _ := m.registry.Identify(root(core.ProcessID{PID: 1, Start: startOf(t, 1)})); who.Kind != core.Admin {
		t.Errorf("process 1 is %v", who.Kind)
	}
	if err := plugin.Kill(); err != nil {
		t.Error(err)
	}
	if status, err := plugin.Wait(context.Background()); err != nil || status.Signal != 9 {
		t.Errorf("the plugin ended with %+v, %v", status, err)
	}
	leave()
	<-result
}

func TestARealTerminal(t *testing.T) {
	m := startMachine(t)
	callers, err := window.Open(65534, 24, 80)
	if err != nil {
		t.Fatal(err)
	}
	defer callers.Master.Close()
	slave := callers.Slave
	name, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", slave.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	text := make(chan string, 1)
	r, out, err := m.run(call{
		command: "sh", argv: []string{"-c", "tty; stty size <&0; test -t 1 && echo out; ps -o tty= -p $$ | grep -q pts && echo controls >/dev/tty"}, stdin: slave,
		started: func(master *os.File) {
			if master == nil {
				text <- "no master"
				return
			}
			fd, err := unix.Dup(int(master.Fd()))
			if err != nil {
				text <- err.Error()
				return
			}
			mine := os.NewFile(uintptr(fd), "master")
			go func() {
				defer mine.Close()
				buffer := make([]byte, 100)
				n, _ := mine.Read(buffer) // what it writes to /dev/tty
				text <- string(buffer[:n])
			}()
		},
	})
	if err != nil || r.Refused != nil {
		t.Fatalf("%+v %v", r.Refused, err)
	}
	lines := strings.Split(out, "\n")
	if len(lines) != 3 || lines[0] == name || !strings.HasPrefix(lines[0], "/dev/pts/") || lines[1] != "24 80" {
		t.Errorf("on the caller's terminal %s it said %q", name, out)
	}
	if said := <-text; strings.TrimSpace(said) != "controls" {
		t.Errorf("its terminal showed %q", said)
	}
}
