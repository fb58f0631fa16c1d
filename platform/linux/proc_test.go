//go:build linux

package linux

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A process chooses its own name, and /proc prints it among the facts.
func TestProcessWithAMisleadingName(t *testing.T) {
	honest := idOf(t, os.Getpid())
	name, err := os.ReadFile("/proc/self/comm")
	must(t, err)
	defer os.WriteFile("/proc/self/comm", name, 0)
	p, err := openProcess(os.Getpid())
	must(t, err)
	defer p.close()
	for _, comm := range []string{"x) R 1 1 1", ") S 0 0 0 0 0", "a\nUid:\t7\t7\t7", "((((", "\\nUid: 7"} {
		must(t, os.WriteFile("/proc/self/comm", []byte(comm), 0))
		if id, err := p.id(); err != nil || id != honest {
			t.Errorf("called %q: %v, %v; expected %v", comm, id, err, honest)
		}
		status, err := p.status()
		must(t, err)
		if same, err := p.runsAs(0, status); err != nil || !same {
			t.Errorf("called %q: not root, %v", comm, err)
		}
	}
}

// A handle stays with the process it was opened for, reaped or not.
func TestProcessThatHasEnded(t *testing.T) {
	child := exec.Command("/usr/bin/sleep", "1000")
	must(t, child.Start())
	p, err := openProcess(child.Process.Pid)
	must(t, err)
	defer p.close()
	gone := func(when string) {
		if id, err := p.id(); !errors.Is(err, errVanished) {
			t.Errorf("%s: id %v, %v", when, id, err)
		}
		if spaces, err := p.spaces(); !errors.Is(err, errVanished) {
			t.Errorf("%s: namespaces %v, %v", when, spaces, err)
		}
	}
	must(t, child.Process.Kill())
	var info unix.Siginfo
	must(t, unix.Waitid(unix.P_PID, child.Process.Pid, &info, unix.WEXITED|unix.WNOWAIT, nil))
	gone("not reaped")
	child.Wait()
	gone("reaped")
	if status, err := p.status(); !errors.Is(err, errVanished) {
		t.Errorf("status: %q, %v", status, err)
	}
	if holds, err := p.holds("/dev/null", time.Time{}); !errors.Is(err, errVanished) || holds {
		t.Errorf("holds: %v, %v", holds, err)
	}
	if _, err := openProcess(child.Process.Pid); !errors.Is(err, errVanished) {
		t.Errorf("opened again: %v", err)
	}
}

func TestProcessHolds(t *testing.T) {
	f, err := os.CreateTemp(t.TempDir(), "")
	must(t, err)
	p, err := openProcess(os.Getpid())
	must(t, err)
	defer p.close()
	if holds, err := p.holds(f.Name(), time.Time{}); err != nil || !holds {
		t.Errorf("open: %v, %v", holds, err)
	}
	if holds, err := p.holds(f.Name(), time.Now().Add(time.Hour)); err != nil || !holds {
		t.Errorf("in time: %v, %v", holds, err)
	}
	if holds, err := p.holds(f.Name(), time.Now()); !errors.Is(err, errCostly) || holds {
		t.Errorf("late: %v, %v", holds, err)
	}
	must(t, f.Close())
	if holds, err := p.holds(f.Name(), time.Time{}); err != nil || holds {
		t.Errorf("closed: %v, %v", holds, err)
	}
}

func TestParseUids(t *testing.T) {
	const head = "Name:\tx\\nUid:\t9\t9\t9\t9\nState:\tS\n"
	if got, ok := parseUids([]byte(head + "Uid:\t1\t2\t3\t4294967294\nGid:\t5\t5\t5\t5\n")); !ok || got != [4]uint32{1, 2, 3, 4294967294} {
		t.Errorf("%v, %v", got, ok)
	}
	for _, status := range []string{
		"", head, head + "Uid:\t1\t2\t3\t4", head + "Uid:\t1\t2\t3\n", head + "Uid:\t1\t2\t3\t4\t5\n", head + "Uid:\t1\t2\t3\t-1\n",
		head + "Uid:\t1\t2\t3\t4294967296\n", "Uid:\t1\t2\t3\t4\n",
	} {
		if got, ok := parseUids([]byte(status)); ok {
			t.Errorf("%q was read as %v", status, got)
		}
	}
}

func FuzzParseUids(f *testing.F) {
	f.Add([]byte("Name:\tx\nUid:\t1\t2\t3\t4\n"))
	f.Add([]byte("\nUid:\n"))
	f.Fuzz(func(t *testing.T, status []byte) {
		if uids, ok := parseUids(status); ok && !strings.Contains(string(status), fmt.Sprint(uids[3])) {
			t.Errorf("%v from %q", uids, status)
		}
	})
}
