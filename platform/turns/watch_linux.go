//go:build linux

package turns

import (
	"os"
	"slices"
	"strconv"
)

// watchSlack is by how much the runtime's watching thread may be late, in nanoseconds.
// Others wait for it where a system call, such as a write to a slow disk, keeps the only
// processor that the runtime uses.
const watchSlack = 250_000

// WatchLess has the thread by which Go's runtime watches its others look less often: as
// long as anything runs it looks every 20 us, 70 us with what Linux adds by itself, which
// is a seventh of the processor time of a service whose work comes in small pieces. What
// that thread starts may have the same slack.
func WatchLess() {
	watcher, err := watchingThread()
	if err != nil {
		return // it is as it was
	}
	// For a thread other than the one that writes, this needs
	// CAP_SYS_NICE.
	_ = os.WriteFile("/proc/"+strconv.Itoa(watcher)+"/timerslack_ns", []byte(strconv.Itoa(watchSlack)), 0)
}

// watchingThread is the first that the runtime starts (runtime.main), and so has the
// lowest number but that of the process.
func watchingThread() (int, error) {
	entries, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return 0, err
	}
	var threads []int
	for _, entry := range entries {
		if thread, err := strconv.Atoi(entry.Name()); err == nil && thread != os.Getpid() {
			threads = append(threads, thread)
		}
	}
	if len(threads) == 0 {
		return 0, os.ErrNotExist
	}
	return slices.Min(threads), nil
}
