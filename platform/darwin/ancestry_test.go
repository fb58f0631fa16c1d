//go:build linux

package darwin

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"kpm/core"
	"kpm/platform/darwin/kernel"
)

func (linux) programPath(pid int) (string, error) {
	return os.Readlink("/proc/" + strconv.Itoa(pid) + "/exe")
}

func (linux) arguments(pid int) ([]byte, error) {
	return os.ReadFile("/proc/" + strconv.Itoa(pid) + "/cmdline")
}

// started is a process of ours, when it has become what it is to be.
func started(t *testing.T, cmd *exec.Cmd, is string) core.ProcessID {
	t.Helper()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	for until := time.Now().Add(time.Minute); time.Now().Before(until); time.Sleep(time.Millisecond) {
		said, _ := (linux{}).arguments(cmd.Process.Pid) // the last that a new program has
		if p, ok := (linux{}).process(cmd.Process.Pid); ok && p.Name == is && len(said) > 0 {
			return core.ProcessID{PID: p.PID, Start: p.Start}
		}
	}
	t.Fatalf("%v is not %s", cmd, is)
	return core.ProcessID{}
}

// A process and those that it descends from, with the leader of its session; of an
// interpreter, its first arguments too.
func TestAncestors(t *testing.T) {
	script := filepath.Join(t.TempDir(), "agent")
	if err := os.WriteFile(script, []byte("sleep 1000;\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/usr/bin/perl", script)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	id := started(t, cmd, "perl")
	list, err := newAncestry(linux{}).Ancestors(id)
	if err != nil || len(list) < 2 {
		t.Fatal(list, err)
	}
	if own := list[0]; own.ID != id || own.Leader != id || own.Terminal != "" || !strings.Contains(own.Program, "perl") || !slices.Contains(own.Names, script) {
		t.Errorf("the process itself: %+v", own)
	}
	if parent := list[1]; parent.ID.PID != os.Getpid() || parent.Leader == id {
		t.Errorf("its parent: %+v", parent)
	}
	later := core.ProcessID{PID: id.PID, Start: id.Start + 1}
	if list, err := newAncestry(linux{}).Ancestors(later); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("of another process with its number: %v, %v", list, err)
	}
	if user, err := newAncestry(linux{}).Starter(id); err != nil || user != "0" {
		t.Errorf("it was started by %q, %v", user, err)
	}
	if user, err := newAncestry(linux{}).Starter(later); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("another one was started by %q, %v", user, err)
	}
}

// processTable is a process table.
type processTable map[int]kernel.Process

func (p processTable) process(pid int) (kernel.Process, bool) {
	found, ok := p[pid]
	return found, ok
}

// A terminal is that of the session, as the kernel knows it, with the session's leader.
func TestTerminalOfASession(t *testing.T) {
	const tty = ptsMajor<<24 | 3
	table := processTable{
		10: {PID: 10, Start: 100, Session: 10, Terminal: tty},
		11: {PID: 11, Start: 200, Session: 10, Terminal: tty},
		12: {PID: 12, Start: 200, Session: 10, Terminal: kernel.NoTerminal},
		13: {PID: 13, Start: 200, Session: 9, Terminal: tty}, // its leader has ended
		14: {PID: 14, Start: 50, Session: 10, Terminal: tty}, // a later process has the number of its leader
		15: {PID: 15, Start: 200, Session: 10, Terminal: tty + 1},
		16: {PID: 16, Start: 200, Session: 10, Terminal: tty, Zombie: true},
	}
	for pid, want := range map[int]core.Terminal{
		10: {Device: tty, Leader: core.ProcessID{PID: 10, Start: 100}},
		11: {Device: tty, Leader: core.ProcessID{PID: 10, Start: 100}},
		12: {},
	} {
		if got, err := terminalOf(table, core.ProcessID{PID: pid, Start: table[pid].Start}); err != nil || got != want {
			t.Errorf("%d: %+v, %v, want %+v", pid, got, err, want)
		}
	}
	for _, id := range []core.ProcessID{{PID: 13, Start: 200}, {PID: 14, Start: 50}, {PID: 15, Start: 200}, {PID: 16, Start: 200}, {PID: 11, Start: 201}, {PID: 99, Start: 1}} {
		if got, err := terminalOf(table, id); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%v: %+v, %v", id, got, err)
		}
	}
	for number, want := range map[uint32]string{kernel.NoTerminal: "", tty: "ttys003", ptsMajor<<24 | 1000: "ttys1000", 0: "0:0", 4<<24 | 1: "4:1"} {
		if got := terminalName(number); got != want {
			t.Errorf("%#x is %q, want %q", number, got, want)
		}
	}
}

// A process at a terminal, for real.
func TestTerminalOfAProcess(t *testing.T) {
	made, err := (terminals{}).Open(core.Identity{})
	if err != nil {
		t.Fatal(err)
	}
	defer made.Close()
	cmd := exec.Command("sleep", "1000")
	cmd.Stdin = made.(*terminal).slave
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	id := started(t, cmd, "sleep")
	got, err := terminalOf(linux{}, id)
	var st unix.Stat_t
	if err2 := onDescriptor(made.(*terminal).slave, func(fd int) error { return unix.Fstat(fd, &st) }); err != nil || err2 != nil || got.Leader != id || got.None() {
		t.Errorf("%+v, %v, %v", got, err, err2)
	}
}
