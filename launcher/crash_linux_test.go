package launcher

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"kpm/core"
	"kpm/core/door"
	"kpm/launcher/journal"
	window "kpm/vmtests/terminal"
)

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

// mark runs a command that leaves a file by the name of its session, which is the
// child that the journal names, and stays.
func (m *machine) mark(started func()) {
	m.run(call{
		command: "sh", argv: []string{"-c", fmt.Sprintf("read -r _ _ _ _ _ session _ </proc/$$/stat; : >%s/marks/$session; exec sleep 1000", m.root)},
		started: func(*os.File) { started() },
	})
}

// stillHeld reports whether a process is a held child.
func stillHeld(number string) bool {
	cmdline, err := os.ReadFile("/proc/" + number + "/cmdline")
	return err == nil && strings.HasPrefix(string(cmdline), "keeperlaunch")
}
