//go:build linux

package linux

import (
	"errors"
	"io/fs"
	"os/exec"
	"syscall"
	"testing"

	"kpm/core"
	terminals "kpm/vmtests/terminal"
)

// TestTerminalOfAProcess: the controlling terminal of its session, with the process
// that leads it, whatever the process has open.
func TestTerminalOfAProcess(t *testing.T) {
	term, err := terminals.Open(0, 24, 80)
	must(t, err)
	defer term.Close()
	start := func(attach func(*exec.Cmd), script string) core.ProcessID {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), "sh", "-c", script)
		attach(cmd)
		must(t, cmd.Start())
		t.Cleanup(func() {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		})
		return identify(t, cmd.Process.Pid)
	}
	leader := start(term.Attach, "exec sleep 1000")
	got, err := Sessions{}.Terminal(leader)
	if err != nil || got.None() || got.Leader != leader {
		t.Fatalf("of the leader: %+v, %v", got, err)
	}
	// Attack: it has the terminal open, and a session of its own.
	apart := start(func(cmd *exec.Cmd) {
		cmd.Stdin, cmd.Stdout, cmd.Stderr = term.Slave, term.Slave, term.Slave
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	}, "exec sleep 1000")
	if got, err := (Sessions{}).Terminal(apart); err != nil || !got.None() {
		t.Errorf("of a process without one: %+v, %v", got, err)
	}
	// A later process of that number is another one.
	later := core.ProcessID{PID: leader.PID, Start: leader.Start + 1}
	for _, id := range []core.ProcessID{later, {PID: 1 << 30, Start: 1}} {
		if got, err := (Sessions{}).Terminal(id); !errors.Is(err, fs.ErrNotExist) || !got.None() {
			t.Errorf("of %s: %+v, %v", id, got, err)
		}
	}
}
