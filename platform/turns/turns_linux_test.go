//go:build linux

package turns

import (
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"
)

// known is what this kernel makes of a short turn: before 6.12, nothing.
func known(t *testing.T) uint64 {
	t.Helper()
	answer := make(chan uint64)
	go func() {
		runtime.LockOSThread() // which ends with the goroutine
		short(0)
		attr, err := unix.SchedGetAttr(0, 0)
		if err != nil {
			t.Error(err)
			attr = &unix.SchedAttr{}
		}
		answer <- attr.Runtime
	}()
	return <-answer
}

func TestEveryThreadAndEveryChildHasShortTurns(t *testing.T) {
	want := known(t)
	nice, err := unix.Getpriority(unix.PRIO_PROCESS, 0)
	if err != nil {
		t.Fatal(err)
	}
	Short()
	entries, err := os.ReadDir("/proc/self/task")
	if err != nil {
		t.Fatal(err)
	}
	child := exec.Command("/bin/sleep", "1000")
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = child.Process.Kill(); _ = child.Wait() }()
	threads := []int{child.Process.Pid}
	for _, entry := range entries {
		thread, err := strconv.Atoi(entry.Name())
		if err != nil {
			t.Fatal(err)
		}
		threads = append(threads, thread)
	}
	for _, thread := range threads {
		attr, err := unix.SchedGetAttr(thread, 0)
		if err == unix.ESRCH {
			continue // a thread that has ended
		}
		if err != nil {
			t.Fatal(err)
		}
		if attr.Runtime != want {
			t.Errorf("thread %d has turns of %d ns, expected %d", thread, attr.Runtime, want)
		}
	}
	if now, err := unix.Getpriority(unix.PRIO_PROCESS, 0); err != nil || now != nice {
		t.Errorf("its priority was %d and is %d, %v", nice, now, err)
	}
}

// What an administrator has set stays.
func TestAnotherKindOfSchedulingStays(t *testing.T) {
	answer := make(chan *unix.SchedAttr)
	go func() {
		runtime.LockOSThread() // which ends with the goroutine
		if err := unix.SchedSetAttr(0, &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_BATCH}, 0); err != nil {
			t.Error(err)
		}
		short(0)
		attr, err := unix.SchedGetAttr(0, 0)
		if err != nil {
			t.Error(err)
		}
		answer <- attr
	}()
	if attr := <-answer; attr == nil || attr.Policy != unix.SCHED_BATCH || attr.Runtime == shortest {
		t.Errorf("%+v", attr)
	}
}
