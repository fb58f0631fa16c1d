//go:build linux

package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// withoutCgroups takes control groups of version 2 away from whatever this test
// starts: they cannot be written to. The thread is the test's from then on.
func withoutCgroups(t *testing.T) {
	t.Helper()
	runtime.LockOSThread() // and never unlocked: the thread ends with the test
	if unix.Gettid() == os.Getpid() {
		t.Fatal("this is the first thread, which does not end")
	}
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("", "/", "", unix.MS_PRIVATE|unix.MS_REC, ""); err != nil {
		t.Fatal(err)
	}
	table, err := os.ReadFile("/proc/thread-self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(table)) {
		before, after, _ := strings.Cut(line, " - ")
		fields := strings.Fields(before)
		if strings.HasPrefix(after, "cgroup2 ") {
			if err := unix.Mount("", fields[4], "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY, ""); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestLeftoversDoNotHoldUpAStop: where launch groups are sessions, what is left
// of them is found by looking at every process. Somebody who leaves as much as
// they may costs one look for many commands, and an orderly stop ends.
func TestLeftoversDoNotHoldUpAStop(t *testing.T) {
	withoutCgroups(t)
	a := newAgent(t, allowAll, nil)
	marker := fmt.Sprintf("5%08d", time.Now().UnixNano()%1e8)
	t.Cleanup(func() {
		for _, pid := range started(t, "sleep", marker) {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	})
	for i := range 256 {
		if out, err := a.Sudo(t.Context(), 4242, "sh", "-c", `sleep "$0" >/dev/null 2>&1 </dev/null &`, marker).CombinedOutput(); err != nil {
			t.Fatalf("the %dth: %v: %s", i+1, err, out)
		}
	}
	if err := a.Stop(); err != nil {
		t.Fatal(err)
	}
	// Each was forked before its command ended, and becomes sleep when it gets to run.
	eventually(t, "256 processes are left", func() bool { return len(started(t, "sleep", marker)) == 256 })
	left := 0
	for _, types := range journal(t, a) {
		for _, kind := range types {
			if kind == "left" {
				left++
			}
		}
	}
	if left != 256 {
		t.Errorf("%d of 256 are on record as left", left)
	}
	if out, err := a.Admin(t.Context(), "audit", "verify"); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

// What an ended command has left is looked for among all processes once for many
// commands, not once for each.
func TestLeftoversAreLookedForTogether(t *testing.T) {
	const others, commands = 300, 40
	withoutCgroups(t)
	a := newAgent(t, allowAll, nil)
	for range others {
		cmd := exec.CommandContext(t.Context(), "sleep", "1d")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	}
	before := readCalls(t, a.PID())
	var callers []*exec.Cmd
	for range commands {
		cmd := a.Sudo(t.Context(), 4242, "sh", "-c", "sleep 5 >/dev/null 2>&1 </dev/null &")
		if err := cmd.Start(); err != nil { // on this thread, in whose namespace the service is
			t.Fatal(err)
		}
		callers = append(callers, cmd)
	}
	for _, cmd := range callers {
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
	}
	// A look for each would be as many reads as there are processes, twice over.
	if calls := readCalls(t, a.PID()) - before; calls >= commands*others*3/2 {
		t.Errorf("the service has read %d times for %d commands beside %d processes", calls, commands, others)
	}
}

// readCalls is how often a process has read (proc(5), /proc/PID/io).
func readCalls(t *testing.T, pid int) int {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/io", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if count, ok := strings.CutPrefix(line, "syscr: "); ok {
			n, err := strconv.Atoi(strings.TrimSpace(count))
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	t.Fatalf("no syscr in %s", text)
	return 0
}
