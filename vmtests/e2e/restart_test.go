//go:build linux

package e2e

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"kpm/vmtests/agent"
	"kpm/vmtests/apart"
)

// endings are the ways in which a service ends that is restarted.
var endings = map[string]func(*agent.Agent) error{
	"a crash":         (*agent.Agent).Kill,
	"an orderly stop": (*agent.Agent).Stop,
}

// teller is a caller that a test writes to and reads from.
type teller struct {
	t    *testing.T
	cmd  *exec.Cmd
	in   io.WriteCloser
	out  *bufio.Reader
	said bytes.Buffer
}

func visits(t *testing.T, cmd *exec.Cmd) *teller {
	t.Helper()
	c := &teller{t: t, cmd: cmd}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	c.in, c.out, cmd.Stderr = in, bufio.NewReader(out), &c.said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	return c
}

func (c *teller) says(want string) {
	c.t.Helper()
	if line, err := c.out.ReadString('\n'); strings.TrimSpace(line) != want {
		c.t.Fatalf("it says %q, %v, %s; expected %q", line, err, &c.said, want)
	}
}

func (c *teller) tell(line string) {
	c.t.Helper()
	if _, err := io.WriteString(c.in, line+"\n"); err != nil {
		c.t.Fatal(err)
	}
}

// restarts ends the service, calls between, and starts the next one.
func restarts(t *testing.T, a *agent.Agent, end func(*agent.Agent) error, between func()) {
	t.Helper()
	if err := end(a); err != nil {
		t.Fatal(err)
	}
	if between != nil {
		between()
	}
	if _, err := a.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// verified asserts that one request has ended, with these records, and that the
// journal is whole.
func verified(t *testing.T, a *agent.Agent, records string) {
	t.Helper()
	for id, types := range journal(t, a) {
		if strings.Join(types, " ") != records {
			t.Errorf("request %s has records %v", id, types)
		}
	}
	if out, err := a.Admin(t.Context(), "audit", "verify"); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

const whole = "opened evaluating allowed launching launched ended"

// TestARestartWhileACommandRuns: whatever ends the service, the command goes on
// and its caller hears from the next one how it ended, also if nobody was there.
func TestARestartWhileACommandRuns(t *testing.T) {
	for name, end := range endings {
		for kind, script := range map[string]string{
			"exit status": `echo one; read x; echo "two $x"; exit 7`, "signal": `echo one; read x; echo "two $x"; kill -USR1 $$`,
		} {
			for when, away := range map[string]bool{"ends later": false, "ends meanwhile": true} {
				t.Run(name+", "+kind+", "+when, func(t *testing.T) {
					a := newAgent(t, allowAll, nil)
					c := visits(t, a.Sudo(t.Context(), 4242, "sh", "-c", script))
					c.says("one")
					restarts(t, a, end, func() {
						if away {
							c.tell("go")
							c.says("two go")
						}
					})
					restarts(t, a, end, nil) // and once more
					if !away {
						c.tell("go")
						c.says("two go")
					}
					_ = c.cmd.Wait()
					want := map[string]int{"exit status": 7, "signal": 128 + int(syscall.SIGUSR1)}[kind]
					if status := c.cmd.ProcessState.ExitCode(); status != want || c.said.Len() > 0 {
						t.Errorf("status %d, expected %d; told %q", status, want, &c.said)
					}
					verified(t, a, whole)
				})
			}
		}
	}
}

// TestARestartWhileSomebodyTypes: the command's terminal is its caller's, and
// works while there is no service.
func TestARestartWhileSomebodyTypes(t *testing.T) {
	for name, end := range endings {
		t.Run(name, func(t *testing.T) {
			a := newAgent(t, allowAll, nil)
			s := sitDown(t, a, nil, "keepersudo", "sh", "-c", `echo one; read x; echo "two $x"; read x; echo "three $x"; exit 7`)
			before := s.settings()
			s.until("one")
			restarts(t, a, end, func() {
				s.types("meanwhile\r")
				s.until("two meanwhile")
			})
			s.types("afterwards\r")
			s.until("three afterwards")
			if status := s.ends(); status != 7 {
				t.Errorf("status %d", status)
			}
			if after := s.settings(); after != before {
				t.Errorf("settings before %s, after %s", before, after)
			}
			verified(t, a, whole)
		})
	}
}

// TestARestartWhileAQuestionIsOpen: the person is asked again.
func TestARestartWhileAQuestionIsOpen(t *testing.T) {
	for name, end := range endings {
		t.Run(name, func(t *testing.T) {
			a := newAgent(t, justifyAll, nil)
			s := sitDown(t, a, nil, "keepersudo", "id", "-u")
			before := s.settings()
			s.until("Reason for running")
			s.types("half an ans")
			restarts(t, a, end, nil)
			s.until("Reason for running")
			s.types("because it is needed\r")
			s.until("0")
			if status := s.ends(); status != 0 {
				t.Errorf("status %d", status)
			}
			if after := s.settings(); after != before {
				t.Errorf("settings before %s, after %s", before, after)
			}
			if has(a, "half an ans") || !has(a, "because it is needed") {
				t.Error("the journal has another reason than was given")
			}
		})
	}
}

// TestASignalWhileTheServiceIsAway: what the caller is told meanwhile reaches the
// command; before it runs, it ends the wait.
func TestASignalWhileTheServiceIsAway(t *testing.T) {
	a := newAgent(t, allowAll, nil)
	c := visits(t, a.Sudo(t.Context(), 4242, "sh", "-c", `trap "exit 9" USR1; echo one; while :; do sleep 0.01; done`))
	c.says("one")
	restarts(t, a, (*agent.Agent).Kill, func() {
		if err := c.cmd.Process.Signal(syscall.SIGUSR1); err != nil {
			t.Fatal(err)
		}
	})
	if _ = c.cmd.Wait(); c.cmd.ProcessState.ExitCode() != 9 {
		t.Errorf("%v: %s", c.cmd.ProcessState, &c.said)
	}
}

// TestACallerWhoEndsWhileTheServiceIsAway takes the command along.
func TestACallerWhoEndsWhileTheServiceIsAway(t *testing.T) {
	a := newAgent(t, allowAll, nil)
	marker := fmt.Sprintf("7%08d", time.Now().UnixNano()%1e8)
	caller := a.Sudo(t.Context(), 4242, "sleep", marker)
	if err := caller.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the command runs", func() bool { return len(started(t, "sleep", marker)) == 1 })
	restarts(t, a, (*agent.Agent).Kill, func() {
		_ = caller.Process.Kill()
		_ = caller.Wait()
		if len(started(t, "sleep", marker)) != 1 {
			t.Error("the command has ended")
		}
	})
	eventually(t, "the command is gone", func() bool { return len(started(t, "sleep", marker)) == 0 })
	eventually(t, "its end is on record", func() bool {
		for _, types := range journal(t, a) {
			return strings.Join(types, " ") == whole
		}
		return false
	})
}

// TestManyAskWhileTheServiceIsRestarted: everybody is answered, those who come
// while no service is there included, and nothing runs twice.
func TestManyAskWhileTheServiceIsRestarted(t *testing.T) {
	a := newAgent(t, allowAll, nil)
	dir := reachable(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var callers sync.WaitGroup
	var mu sync.Mutex
	asked := 0
	for i := range uint32(6) {
		if err := apart.Person(4242 + i); err != nil {
			t.Fatal(err)
		}
		callers.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				mark := filepath.Join(dir, fmt.Sprintf("%d-%d", i, n))
				out, err := a.Sudo(t.Context(), 4242+i, "sh", "-c", `echo ran >>"$0"`, mark).CombinedOutput()
				marks, readErr := os.ReadFile(mark)
				if err != nil || string(marks) != "ran\n" {
					t.Errorf("%v: %s; it ran %d times (%v)", err, out, len(marks)/4, readErr)
				}
				mu.Lock()
				asked++
				mu.Unlock()
			}
		})
	}
	for i := range 6 {
		mu.Lock()
		before := asked
		mu.Unlock()
		eventually(t, "people ask", func() bool { mu.Lock(); defer mu.Unlock(); return asked >= before+6 })
		end := (*agent.Agent).Kill
		if i%3 == 2 {
			end = (*agent.Agent).Stop
		}
		restarts(t, a, end, nil)
	}
	cancel()
	callers.Wait()
	allFinal(t, a)
	if out, err := a.Admin(t.Context(), "audit", "verify"); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

// TestAStolenKey: whoever has learned the key of somebody's request is another
// process all the same. Attack: to hear how the command ended, to send it
// signals, or to run it under somebody else's decision.
func TestAStolenKey(t *testing.T) {
	const key = "00112233445566778899aabbccddeeff"
	for name, end := range endings {
		t.Run(name, func(t *testing.T) {
			a := newAgent(t, allowAll, func(a *agent.Agent) {
				_ = a.Write("appsettings.json", `{"Settings":{"KestrelHttpPort":0,"KestrelHttpsPort":0,"system.logging.level":"Debug"},"MqttBrokerSettings":{"Port":0}}`)
			})
			script := filepath.Join(reachable(t), "again.py")
			text, err := os.ReadFile("testdata/again.py")
			if err == nil {
				err = os.WriteFile(script, text, 0o644)
			}
			if err != nil {
				t.Fatal(err)
			}
			dir := pipes(t, "go")
			asks := func(uid uint32, running string) *teller {
				t.Helper()
				cmd := a.Sudo(t.Context(), uid) // for its account and environment
				cmd.Path = "/usr/bin/python3"
				cmd.Args = []string{"python3", script, a.Root, key, running, "sh", "-c", `read x <"$0/go"; exit 5`, dir}
				return visits(t, cmd)
			}
			owner := asks(4242, "0")
			owner.says("started b''")
			restarts(t, a, end, nil)
			owner.says("closed")
			for _, thief := range []uint32{4242, 4343, 0} {
				for _, running := range []string{"0", "1"} {
					c := asks(thief, running)
					if line, _ := c.out.ReadString('\n'); !strings.HasPrefix(line, "refused") || !strings.Contains(line, "another process") {
						t.Errorf("uid %d: %s", thief, line)
					}
				}
			}
			owner.tell("again")
			owner.says("started b''")
			lets(t, filepath.Join(dir, "go"))
			owner.says(`exit b'\x00\x00\x00\x05\x00\x00\x00\x00'`)
			if strings.Contains(a.Log(), key) || has(a, key) {
				t.Error("log or journal show the key")
			}
			verified(t, a, whole)
		})
	}
}
