package launcher

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"kpm/core"
	"kpm/launcher/journal"
	window "kpm/vmtests/terminal"
)

// serveForever is a service that launches one command after the other, each of
// which leaves a file by the name of its number and stays. Its parent kills it.
func serveForever(root string) {
	m, err := newMachine(root)
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	for i := 0; ; i++ {
		started := make(chan struct{})
		go m.run(call{
			command: "sh", argv: []string{"-c", fmt.Sprintf(": >%s/marks/$$; exec sleep 1000", root)},
			started: func(*os.File) { close(started) },
		})
		<-started
		fmt.Println(i)
	}
}

// Whenever the service is killed: what ran is in the journal, and the next
// service ends it and says so.
func TestNothingRunsThatTheJournalDoesNotName(t *testing.T) {
	root := newRoot(t)
	if err := os.Mkdir(root+"/marks", 0o755); err != nil {
		t.Fatal(err)
	}
	for round := range 10 {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), "LAUNCHER_TEST_SERVICE="+root, "LAUNCHER_TEST_HELPER="+helper)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for range round%3 + 1 {
			if !lines.Scan() || strings.ContainsAny(lines.Text(), " :") {
				t.Fatalf("the service said %q", lines.Text())
			}
		}
		time.Sleep(time.Duration(round) * 300 * time.Microsecond) // anywhere in the next launch
		cmd.Process.Kill()
		cmd.Wait()

		m, err := newMachine(root)
		if err != nil {
			t.Fatal(err)
		}
		marks, err := os.ReadDir(root + "/marks")
		if err != nil || len(marks) < round%3+1 {
			t.Fatalf("%d commands ran, %v", len(marks), err)
		}
		launched := map[string]bool{}
		for _, r := range m.records(t, journal.Launched) {
			launched[fmt.Sprint(r.Child.PID)] = true
		}
		for _, mark := range marks {
			number := mark.Name()
			if !launched[number] {
				t.Errorf("round %d: process %s ran and is not in the journal", round, number)
			}
			if cmdline, err := os.ReadFile("/proc/" + number + "/cmdline"); err == nil && strings.HasPrefix(string(cmdline), "sleep\x001000") {
				t.Errorf("round %d: process %s still runs", round, number)
			}
			os.Remove(filepath.Join(root, "marks", number))
		}
		failed := m.records(t, journal.Failed)
		if last := failed[len(failed)-1]; last.Message != "service-restarted" {
			t.Errorf("round %d: recorded %+v", round, last)
		}
		killed := 0
		for _, r := range failed {
			killed += r.Killed
		}
		if killed == 0 {
			t.Errorf("round %d: nothing was ended", round)
		}
		if err := m.stop(context.Background()); err != nil {
			t.Error(err)
		}
		report, err := journal.Verify(context.Background(), root+"/Audit", root+"/State", journal.Demand{})
		if err != nil || report.Fault != nil || len(report.Noted) > 0 {
			t.Errorf("round %d: the journal: %v, %v, %v", round, err, report.Fault, report.Noted)
		}
	}
}

// sleeper starts a command that has a child in the background and stays, and
// returns the command's process.
func sleeper(t *testing.T, m *machine, ctx context.Context) (core.ProcessID, chan Result) {
	t.Helper()
	started, result := make(chan struct{}), make(chan Result, 1)
	go func() {
		r, _, err := m.run(call{
			command: "sh", argv: []string{"-c", "trap '' HUP; sleep 1000 & sleep 1000"}, ctx: ctx,
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
	child := descendant(t, m, id)
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

func TestARealCommandOutlivesAnOrderlyStop(t *testing.T) {
	root := newRoot(t)
	m, err := newMachine(root)
	if err != nil {
		t.Fatal(err)
	}
	id, result := sleeper(t, m, context.Background())
	child := descendant(t, m, id)
	defer unix.Kill(-id.PID, unix.SIGKILL)
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if err := m.Close(ctx); err != nil {
		t.Fatal(err)
	}
	// Its output still goes to the caller's pipe: the reader waits for it.
	m.deeds.Wait()
	if err := errors.Join(m.journal.Close(), m.host.Close()); err != nil {
		t.Fatal(err)
	}

	next, err := newMachine(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range []core.ProcessID{id, child} {
		if !next.host.Tree.Alive(p) {
			t.Fatalf("process %s did not outlive the service", p)
		}
		who, _ := next.registry.Identify(core.Peer{User: "0", Administrator: true, Processes: []core.ProcessID{p}, SameIdentity: true})
		if who.Kind != core.User {
			t.Errorf("to the next service process %s is %v", p, who.Kind)
		}
	}
	unix.Kill(-id.PID, unix.SIGKILL)
	if r := <-result; r.Refused == nil || r.Refused.Code != "failed" || !strings.Contains(r.Refused.Message, "goes on") {
		t.Errorf("the caller heard %+v", r)
	}
	if err := next.stop(context.Background()); err != nil {
		t.Error(err)
	}
}

func TestARealCommandIsNeverAdminAndAPluginsChildIsThePlugin(t *testing.T) {
	m := startMachine(t)
	ctx, leave := context.WithCancel(context.Background())
	m.cfg.Grace = time.Millisecond
	id, result := sleeper(t, m, ctx)
	root := func(ids ...core.ProcessID) core.Peer {
		return core.Peer{User: "0", Administrator: true, Processes: ids, SameIdentity: true}
	}
	child := descendant(t, m, id)
	for _, p := range []core.ProcessID{id, child} {
		if who, group := m.registry.Identify(root(p)); who.Kind != core.User || group != id {
			t.Errorf("process %s is %v in %v", p, who.Kind, group)
		}
	}
	as := core.Principal{Kind: core.Plugin, Name: "KeeperLogger"}
	script := m.write(t, "bin/plugin", "#!/bin/sh\nsleep 1000 & wait\n", 0o755, 0)
	plugin, err := m.StartService(context.Background(), core.ServiceSpec{As: as, Path: script, Argv: []string{"plugin"}, Dir: m.root})
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
