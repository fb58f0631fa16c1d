//go:build linux

package e2e

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"kpm/vmtests/agent"
)

// agentOnSmallDisk is a running agent on a file system of its own, which can be
// filled without harm to the machine.
func agentOnSmallDisk(t *testing.T) *agent.Agent {
	t.Helper()
	disk := reachable(t)
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "mode=0755,size=192m"); err != nil {
		t.Fatalf("mount: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(disk, syscall.MNT_DETACH); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
	staged, err := agent.Staged()
	if err != nil {
		t.Fatal(err)
	}
	a, err := agent.New(staged, disk, map[string]string{"policy.json": allowAll})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.Kill() })
	if _, err := a.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return a
}

// fill takes all the room that is left on the agent's disk and returns the file
// that holds it.
func fill(t *testing.T, a *agent.Agent) string {
	t.Helper()
	f, err := os.Create(filepath.Join(a.Root, "ballast"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, chunk := range []int{1 << 20, 4 << 10, 1} {
		for err = nil; err == nil; {
			_, err = f.Write(make([]byte, chunk))
		}
		if !errors.Is(err, syscall.ENOSPC) {
			t.Fatalf("fill: %v", err)
		}
	}
	return f.Name()
}

// refusedForWantOfRoom asks until five requests have been refused: the
// journal's last page may have room for a record or two. What ran, and only
// that, was reported as run.
func refusedForWantOfRoom(t *testing.T, a *agent.Agent) {
	t.Helper()
	made := t.TempDir()
	for ran, refused := 0, 0; refused < 5; {
		marker := filepath.Join(made, fmt.Sprint(ran+refused))
		out, err := a.Sudo(t.Context(), 4242, "touch", marker).CombinedOutput()
		_, missing := os.Stat(marker)
		switch {
		case (err == nil) != (missing == nil):
			t.Fatalf("the caller was told %v (%s), the file says %v", err, out, missing)
		case err == nil:
			if ran++; ran > 5 {
				t.Fatalf("commands go on running on a full disk\n%s", a.Log())
			}
		default:
			refused++
			if !strings.Contains(string(out), "journal cannot be written") && !strings.Contains(string(out), "cannot take requests now") {
				t.Errorf("the refusal does not say why: %s", out)
			}
		}
	}
	eventually(t, "the service says what is wrong", func() bool { return strings.Contains(a.Log(), "no space left on device") })
}

// works asserts that requests are carried out, that each one of the journal has
// come to one end, and that the journal verifies.
func works(t *testing.T, a *agent.Agent) {
	t.Helper()
	for i := range 3 {
		if out, err := a.Sudo(t.Context(), 4242, "id", "-u").CombinedOutput(); err != nil || string(out) != "0\n" {
			t.Errorf("request %d: %v: %s\n%s", i, err, out, a.Log())
		}
	}
	allFinal(t, a)
	if out, err := a.Admin(t.Context(), "audit", "verify"); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

// TestDiskFull: without room for the journal nothing new runs and everybody is
// told why. What runs already is not disturbed, and how it ended is on record
// when there is room again.
func TestDiskFull(t *testing.T) {
	a := agentOnSmallDisk(t)
	var commands []*exec.Cmd
	var stdins []io.WriteCloser
	for i := range 8 {
		cmd := a.Sudo(t.Context(), 4242, "sh", "-c", fmt.Sprintf("read line; exit %d", 10+i))
		stdin, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		commands, stdins = append(commands, cmd), append(stdins, stdin)
	}
	eventually(t, "all have been launched", func() bool {
		launched := 0
		for _, types := range journal(t, a) {
			if slices.Contains(types, "launched") {
				launched++
			}
		}
		return launched == len(commands)
	})
	ballast := fill(t, a)
	refusedForWantOfRoom(t, a)
	for i, cmd := range commands {
		if _, err := io.WriteString(stdins[i], "\n"); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Wait(); cmd.ProcessState.ExitCode() != 10+i {
			t.Errorf("its caller was told %v, expected exit status %d", err, 10+i)
		}
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	works(t, a)
	if err := a.Stop(); err != nil {
		t.Error(err)
	}
	if out, err := a.Admin(t.Context(), "audit", "verify"); err != nil {
		t.Errorf("after the stop: %v: %s", err, out)
	}
}

// TestStoppedOnFullDisk: how commands ended while there was no room is on record
// although the service stopped, or crashed, before there was any.
func TestStoppedOnFullDisk(t *testing.T) {
	for name, end := range map[string]func(a *agent.Agent) error{"stopped": (*agent.Agent).Stop, "killed": (*agent.Agent).Kill} {
		t.Run(name, func(t *testing.T) {
			a := agentOnSmallDisk(t)
			cmd := a.Sudo(t.Context(), 4242, "sh", "-c", "read line; exit 10")
			stdin, err := cmd.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			eventually(t, "it has been launched", func() bool { return has(a, `"type":"launched"`) })
			ballast := fill(t, a)
			refusedForWantOfRoom(t, a)
			if _, err := io.WriteString(stdin, "\n"); err != nil {
				t.Fatal(err)
			}
			if err := cmd.Wait(); cmd.ProcessState.ExitCode() != 10 {
				t.Errorf("its caller was told %v", err)
			}
			if err := end(a); err != nil {
				t.Log(err) // what else it could not write
			}
			if err := os.Remove(ballast); err != nil {
				t.Fatal(err)
			}
			if _, err := a.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
			eventually(t, "how it ended is on record", func() bool { return has(a, `"exit":{"code":10`) })
			works(t, a)
		})
	}
}

// TestKilledOnFullDisk: after a crash on a full disk the service either refuses
// to start and says why, or refuses requests; it recovers when there is room.
func TestKilledOnFullDisk(t *testing.T) {
	a := agentOnSmallDisk(t)
	ballast := fill(t, a)
	refusedForWantOfRoom(t, a)
	if err := a.Kill(); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Start(t.Context()); err == nil {
		refusedForWantOfRoom(t, a)
	} else if !strings.Contains(err.Error(), "no space left on device") {
		t.Errorf("it does not say why it cannot start: %v", err)
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	if err := a.Kill(); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	works(t, a)
}
