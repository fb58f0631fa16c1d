//go:build linux

package e2e

import (
	"bufio"
	"context"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"

	"kpm/vmtests/agent"
)

// traps is a command that says which signals it gets, and ends at SIGUSR2.
const traps = `for s in HUP INT QUIT TERM USR1 ALRM; do trap "echo got $s" $s; done
trap "echo over; exit 3" USR2; echo up; while :; do sleep 0.02; done`

// talking is a keepersudo whose output is read by lines.
type talking struct {
	t     *testing.T
	cmd   *exec.Cmd
	lines *bufio.Scanner
	said  []string
}

// talk runs a shell script with keepersudo as "$0" and traps as "$1".
func talk(t *testing.T, a *agent.Agent, script string) *talking {
	t.Helper()
	// A command that hears no signal would go on for ever.
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	cmd := a.Sudo(ctx, 4242)
	sudo := cmd.Path
	cmd.Path, cmd.Args = "/bin/sh", []string{"sh", "-c", script, sudo, traps}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = cmd.Stdout
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	return &talking{t: t, cmd: cmd, lines: bufio.NewScanner(out)}
}

// until reads lines up to one.
func (k *talking) until(line string) {
	k.t.Helper()
	for k.lines.Scan() {
		if k.lines.Text() == line {
			return
		}
		k.said = append(k.said, k.lines.Text())
	}
	k.t.Fatalf("it never said %q, but %q", line, k.said)
}

func (k *talking) tell(sig syscall.Signal) {
	k.t.Helper()
	if err := k.cmd.Process.Signal(sig); err != nil {
		k.t.Fatal(err)
	}
}

// rest is what else it said of itself; its shell speaks of what else ended.
func (k *talking) rest() string {
	for k.lines.Scan() {
		k.said = append(k.said, k.lines.Text())
	}
	_ = k.cmd.Wait()
	return strings.Join(slices.DeleteFunc(k.said, func(line string) bool {
		return line != "over" && !strings.HasPrefix(line, "got ")
	}), "\n")
}

// TestIgnoredSignals: what keepersudo was started to ignore is not passed on.
func TestIgnoredSignals(t *testing.T) {
	a := newAgent(t, allowAll, nil)
	for name, sig := range map[string]syscall.Signal{
		"QUIT": syscall.SIGQUIT, "TERM": syscall.SIGTERM, "USR1": syscall.SIGUSR1, "ALRM": syscall.SIGALRM,
	} {
		t.Run(name, func(t *testing.T) {
			k := talk(t, a, `trap "" `+name+`; exec "$0" sh -c "$1"`)
			k.until("up")
			k.tell(sig)
			k.tell(sig)
			for range 2 { // which is not ignored, and the second one comes later
				k.tell(syscall.SIGHUP)
				k.until("got HUP")
			}
			k.tell(syscall.SIGUSR2)
			if said := k.rest(); said != "over" || k.cmd.ProcessState.ExitCode() != 3 {
				t.Errorf("it said %q, %v", said, k.cmd.ProcessState)
			}
		})
	}
}

// TestTheCommandsOwnSignals: a command that signals its keepersudo, as "pkill
// -u $USER" does, or its parent, does not get the signal back; what others send,
// it gets.
func TestTheCommandsOwnSignals(t *testing.T) {
	a := newAgent(t, allowAll, nil)
	// The child is there until keepersudo has looked whose it is.
	for name, sender := range map[string]string{"itself": `kill -TERM $0`, "its child": `sh -c "kill -TERM $0; sleep 3"`, "its parent": `kill -TERM $PPID`} {
		t.Run(name, func(t *testing.T) {
			k := talk(t, a, `exec "$0" sh -c '`+sender+`; echo sent; '"$1" $$`)
			k.until("sent")
			k.until("up")
			k.tell(syscall.SIGHUP)
			k.until("got HUP")
			k.tell(syscall.SIGUSR2)
			if said := k.rest(); said != "over" || k.cmd.ProcessState.ExitCode() != 3 {
				t.Errorf("it said %q, %v", said, k.cmd.ProcessState)
			}
		})
	}
}
