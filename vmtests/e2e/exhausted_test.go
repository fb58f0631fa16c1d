//go:build linux

package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"kpm/vmtests/agent"
)

// TestOutOfDescriptors: whatever the service has no descriptor for, it says so,
// and never that a program, a user or a directory is not there.
func TestOutOfDescriptors(t *testing.T) {
	a := newAgent(t, asAnybody(allowAll), nil)
	open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", a.PID()))
	if err != nil {
		t.Fatal(err)
	}
	var before unix.Rlimit
	if err := unix.Prlimit(a.PID(), unix.RLIMIT_NOFILE, nil, &before); err != nil {
		t.Fatal(err)
	}
	said := map[string]bool{}
	const most = 39 // which are enough
	for extra := 1; extra <= most; extra++ {
		few := unix.Rlimit{Cur: uint64(len(open) + extra), Max: before.Max}
		if err := unix.Prlimit(a.PID(), unix.RLIMIT_NOFILE, &few, nil); err != nil {
			t.Fatal(err)
		}
		if extra == 12 { // enough to ask how it is, and too few to launch
			eventually(t, "/health says that they are used up", func() bool { return !healthy(t, a) })
		}
		for _, argv := range [][]string{{"true"}, {"-u", "nobody", "/bin/true"}} {
			within := 3 * time.Second // nobody can be let in without one
			if extra == most {
				within = patience
			}
			ctx, cancel := context.WithTimeout(t.Context(), within)
			cmd := a.Sudo(ctx, 4242, argv...)
			cmd.WaitDelay = time.Second // what waits in the door's queue holds the output open
			out, err := cmd.CombinedOutput()
			cancel()
			text := string(out)
			said[text] = true
			for _, falsehood := range []string{"there is no", "no such", "not exist", "no account", "cannot be used", "not regular", "is not back"} {
				if strings.Contains(text, falsehood) {
					t.Errorf("with %d descriptors to spare, %v was told: %s", extra, argv, text)
				}
			}
			if extra == most && err != nil {
				t.Errorf("with enough of them: %v: %s", err, text)
			}
		}
	}
	honest := false
	for text := range said {
		honest = honest || strings.Contains(text, "as many files open as it may: try again")
	}
	if !honest {
		t.Errorf("nobody was told what is used up: %v", said)
	}
	if n := strings.Count(a.Log(), `reason="the service has as many files open as it may`); n == 0 || n > 10 {
		t.Errorf("the log says %d times what is used up:\n%s", n, a.Log())
	}
	if err := unix.Prlimit(a.PID(), unix.RLIMIT_NOFILE, &before, nil); err != nil {
		t.Fatal(err)
	}
	if out, err := a.Sudo(t.Context(), 4242, "id", "-u").CombinedOutput(); err != nil || string(out) != "0\n" {
		t.Errorf("afterwards: %v: %s\n%s", err, out, a.Log())
	}
	eventually(t, "/health says that there are enough again", func() bool { return healthy(t, a) })
}

// TestOutOfProcesses: where no more processes can be had, and no threads, the
// service and policy live on, requests are refused with the reason, and are
// served again when there are some.
func TestOutOfProcesses(t *testing.T) {
	a := newAgent(t, allowAll, nil)
	limited, limit := pidsCgroup(t, a)
	decides, err := a.Plugin(t.Context(), "KeeperPolicy")
	if err != nil {
		t.Fatal(err)
	}
	service, policy := a.PID(), decides.ProcessID
	limit(awaitSpareThreads(t, limited, service, policy))
	refused := 0
	var mu sync.Mutex
	for range 5 {
		var all sync.WaitGroup
		for i := range 40 {
			all.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				defer cancel()
				out, err := a.Sudo(ctx, uint32(4300+i%8), "id", "-u").CombinedOutput()
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					if refused++; !strings.Contains(string(out), "as many processes as it may: try again") {
						t.Errorf("%v: %s", err, out)
					}
				}
			})
		}
		all.Wait()
	}
	if refused == 0 {
		t.Error("there were processes enough: the test shows nothing")
	}
	limit("max")
	eventually(t, "people are served again", func() bool {
		out, err := a.Sudo(t.Context(), 4242, "id", "-u").CombinedOutput()
		return err == nil && string(out) == "0\n"
	})
	if p, err := a.Plugin(t.Context(), "KeeperPolicy"); err != nil || p.ProcessID != policy {
		t.Errorf("KeeperPolicy was process %d, now %+v, %v", policy, p, err)
	}
	if ports, err := a.Ports(); err != nil || ports.PID != service {
		t.Errorf("the service was process %d, now %+v, %v", service, ports, err)
	}
}

// awaitSpareThreads waits until the service and KeeperPolicy have the threads that they keep
// for when no more can be had, 24 and 8, and returns how many processes and threads there
// are by then. They begin to make them once people are served.
func awaitSpareThreads(t *testing.T, limited string, service, policy int) (now string) {
	t.Helper()
	const settled = 50 // looks between which nothing has changed
	same := 0
	eventually(t, "the spare threads are made", func() bool {
		data, err := os.ReadFile(filepath.Join(limited, "pids.current"))
		if err != nil {
			t.Fatal(err)
		}
		if text := strings.TrimSpace(string(data)); text != now {
			now, same = text, 0
		}
		same++
		return threads(t, service) > 24 && threads(t, policy) > 8 && same > settled
	})
	return now
}

// Nobody of a crowd waits for the service's table of open files: it has room for theirs
// before they come.
func TestThereIsRoomForACrowdsFiles(t *testing.T) {
	a := newAgent(t, allowAll, nil)
	eventually(t, "there is room for 2048 open files", func() bool {
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", a.PID()))
		if err != nil {
			t.Fatal(err)
		}
		_, size, _ := strings.Cut(string(status), "FDSize:\t")
		size, _, _ = strings.Cut(size, "\n")
		n, _ := strconv.Atoi(size)
		return n >= 2048
	})
}

func threads(t *testing.T, pid int) int {
	t.Helper()
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// pidsCgroup puts a running agent into a control group that bounds how many
// processes and threads it has.
func pidsCgroup(t *testing.T, a *agent.Agent) (dir string, limit func(string)) {
	t.Helper()
	dir = filepath.Join("/sys/fs/cgroup/pids", "kpm-test-"+strconv.Itoa(a.PID()))
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatalf("this test needs a pids controller: %v", err)
	}
	t.Cleanup(func() {
		_ = a.Kill()
		eventually(t, "the control group is empty", func() bool {
			for _, pid := range pidsIn(dir) {
				_ = unix.Kill(pid, unix.SIGKILL)
			}
			return os.Remove(dir) == nil
		})
	})
	write := func(name, text string) {
		t.Helper()
		err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0)
		if err != nil && !errors.Is(err, unix.ESRCH) { // a process that has ended meanwhile
			t.Fatal(err)
		}
	}
	for _, pid := range running(t, a.Root) {
		write("cgroup.procs", strconv.Itoa(pid))
	}
	for _, pid := range children(t, a, "keeperlaunch") {
		write("cgroup.procs", strconv.Itoa(pid))
	}
	return dir, func(text string) { write("pids.max", text) }
}

func pidsIn(dir string) (pids []int) {
	data, _ := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
	for _, field := range strings.Fields(string(data)) {
		if pid, err := strconv.Atoi(field); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}
