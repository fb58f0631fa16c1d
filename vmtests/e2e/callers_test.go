//go:build linux

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"kpm/vmtests/agent"
	"kpm/vmtests/terminal"
)

// recorded waits until n requests have a record of the given type.
func recorded(t *testing.T, a *agent.Agent, n int, kind string) {
	t.Helper()
	eventually(t, fmt.Sprintf("%d requests have a record %s", n, kind), func() bool {
		found := 0
		for _, types := range journal(t, a) {
			if slices.Contains(types, kind) {
				found++
			}
		}
		return found == n
	})
}

// TestOneUserOfMany: one user's commands are as many as the settings say, one
// more is refused at once, and all the others' are not concerned.
func TestOneUserOfMany(t *testing.T) {
	const most = 32
	a := newAgent(t, allowAll, func(a *agent.Agent) {
		settings := fmt.Sprintf(`{"Settings": {"KestrelHttpPort": 0, "KestrelHttpsPort": 0}, "MqttBrokerSettings": {"Port": 0},
			"Requests": {"MaxRunningPerUser": %d}}`, most)
		if err := a.Write("appsettings.json", settings); err != nil {
			t.Fatal(err)
		}
	})
	marker := fmt.Sprintf("8%08d", time.Now().UnixNano()%1e8)
	var sleepers []*exec.Cmd
	for range most {
		cmd := a.Sudo(t.Context(), 4242, "sleep", marker)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		sleepers = append(sleepers, cmd)
	}
	recorded(t, a, most, "launched")

	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for range 3 {
		out, err := a.Sudo(ctx, 4242, "id").CombinedOutput()
		if err == nil || !strings.Contains(string(out), "32 commands of yours run") {
			t.Errorf("one more than %d: %v: %s", most, err, out)
		}
	}
	for uid := range uint32(5) {
		if out, err := a.Sudo(ctx, 4300+uid, "id", "-u").CombinedOutput(); err != nil || string(out) != "0\n" {
			t.Errorf("user %d: %v: %s", 4300+uid, err, out)
		}
	}

	// One place is free, one request is taken.
	if err := sleepers[0].Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	_ = sleepers[0].Wait()
	eventually(t, "the place is free", func() bool {
		out, err := a.Sudo(ctx, 4242, "id", "-u").CombinedOutput()
		return err == nil && string(out) == "0\n"
	})

	// All of them are killed at once: so are their commands.
	for _, cmd := range sleepers[1:] {
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait()
	}
	eventually(t, "no command runs any more", func() bool { return len(running(t, marker)) == 0 })
	recorded(t, a, most+5+1, "ended")
	if out, err := a.Admin(t.Context(), "audit", "verify"); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

// TestCallerKilled: kill -9 of keepersudo in each state in which it waits. The
// command ends or never begins, and the journal says who left.
func TestCallerKilled(t *testing.T) {
	for _, tc := range []struct {
		state, policy string
		shown         string // on the caller's terminal, when it is there
		want          []string
		says          string
	}{
		{"Pending", justifyAll, "eason", []string{"opened", "evaluating", "pending", "denied"}, `"caller-gone"`},
		{"Running", allowAll, "ready", []string{"opened", "evaluating", "allowed", "launching", "launched", "ended"}, `"signal":`},
	} {
		t.Run(tc.state, func(t *testing.T) {
			a := newAgent(t, tc.policy, nil)
			marker := fmt.Sprintf("7%08d", time.Now().UnixNano()%1e8)
			term, err := terminal.Open(4242, 24, 80)
			if err != nil {
				t.Fatal(err)
			}
			defer term.Close()
			// It ignores the hangup and has a child that does the same.
			cmd := a.Sudo(t.Context(), 4242, "sh", "-c", `trap "" HUP; sleep "$0" & echo ready; wait; sleep "$0"`, marker)
			term.Attach(cmd)
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			if err := term.Expect(tc.shown, patience); err != nil {
				t.Fatal(err)
			}
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			_ = cmd.Wait()
			recorded(t, a, 1, tc.want[len(tc.want)-1])
			eventually(t, "nothing of the command runs", func() bool { return len(running(t, marker)) == 0 })
			for id, types := range journal(t, a) {
				if !slices.Equal(types, tc.want) {
					t.Errorf("request %s has records %v, expected %v", id, types, tc.want)
				}
			}
			if !has(a, tc.says) {
				out, err := a.Admin(t.Context(), "audit", "tail", "-n", "1", "--json")
				t.Errorf("the journal does not say %s: %s, %v", tc.says, out, err)
			}
			if out, err := a.Admin(t.Context(), "audit", "verify"); err != nil {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
}

// TestStopWhileACommandRuns: an orderly stop is not the command's end. Its
// caller waits for the next service, which does not take the command for an
// administrator, and leaves what it leaves alone.
func TestStopWhileACommandRuns(t *testing.T) {
	a := newAgent(t, allowAll, nil)
	dir := t.TempDir()
	fifo, answer := filepath.Join(dir, "fifo"), filepath.Join(dir, "answer")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	marker := fmt.Sprintf("8%08d", time.Now().UnixNano()%1e8)
	cmd := a.Sudo(t.Context(), 4242, "sh", "-c", `exec >/dev/null 2>&1; read go <"$1"
curl -sS --unix-socket "$2" -o /dev/null -w "%{http_code}" http://localhost/api/plugins >"$3.next"
mv "$3.next" "$3"; sleep "$4" & exit 6`, "sh", fifo, filepath.Join(a.Root, "run/api.sock"), answer, marker)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	recorded(t, a, 1, "launched")
	command := child(t, a)

	if err := a.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(command, 0); err != nil {
		t.Fatalf("the command is gone: %v", err)
	}
	if out, err := a.Admin(t.Context(), "audit", "verify"); err != nil {
		t.Errorf("after the stop: %v: %s", err, out)
	}

	if _, err := a.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(fifo, []byte("go\n"), 0); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the command has asked the API", func() bool { _, err := os.Stat(answer); return err == nil })
	if status, err := os.ReadFile(answer); err != nil || string(status) != "403" {
		t.Errorf("a command of an earlier service heard %s of the API, %v", status, err)
	}
	if err := cmd.Wait(); cmd.ProcessState.ExitCode() != 6 {
		t.Errorf("its caller was told %v", err)
	}
	eventually(t, "what it left is on record", func() bool {
		for _, types := range journal(t, a) {
			return types[len(types)-1] == "left"
		}
		return false
	})
	eventually(t, "what it left runs", func() bool { return len(started(t, "sleep", marker)) == 1 })
	for _, pid := range started(t, "sleep", marker) {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "its end is on record", func() bool {
		if out, err := a.Sudo(t.Context(), 4242, "id", "-u").CombinedOutput(); err != nil || string(out) != "0\n" {
			t.Fatalf("%v: %s", err, out)
		}
		for _, types := range journal(t, a) {
			if slices.Equal(types, []string{"opened", "evaluating", "allowed", "launching", "launched", "ended", "left", "gone"}) {
				return true
			}
		}
		return false
	})
	if out, err := a.Admin(t.Context(), "audit", "verify"); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

// child is the process of the command that was launched last.
func child(t *testing.T, a *agent.Agent) int {
	t.Helper()
	out, err := a.Admin(t.Context(), "audit", "tail", "-n", "1000", "--json")
	if err != nil {
		t.Fatal(err)
	}
	pid := 0
	for line := range strings.Lines(out) {
		var r struct{ Child *struct{ PID int } }
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		if r.Child != nil {
			pid = r.Child.PID
		}
	}
	if pid == 0 {
		t.Fatalf("no process in the journal: %s", out)
	}
	return pid
}
