//go:build linux

package turns

import (
	"os"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"
)

// shortest is the shortest turn that Linux knows (sched_setattr(2), sched_runtime of
// SCHED_OTHER, since 6.12), in nanoseconds. Whoever has short turns is let in ahead
// of who has a long one.
const shortest = 100_000

// Short asks for short turns, for every thread of this process and whatever it
// starts from now on. Earlier kernels take no notice.
func Short() {
	var done []int
	// A thread that appears meanwhile may be the child of one that was not asked yet.
	for before := -1; len(done) > before; {
		before = len(done)
		entries, err := os.ReadDir("/proc/self/task")
		if err != nil {
			return
		}
		for _, entry := range entries {
			thread, err := strconv.Atoi(entry.Name())
			if err != nil || slices.Contains(done, thread) {
				continue
			}
			done = append(done, thread)
			short(thread)
		}
	}
}

// short asks for short turns of one thread. An administrator who has given it
// another kind of scheduling is left alone.
func short(thread int) {
	attr, err := unix.SchedGetAttr(thread, 0)
	if err != nil || attr.Policy != unix.SCHED_NORMAL {
		return
	}
	attr.Runtime = shortest
	_ = unix.SchedSetAttr(thread, attr, 0) // then it is as it was
}
