//go:build linux

package turns

import (
	"os"
	"slices"
	"strconv"
	"sync"
)

// The watching thread may be late by workSlack while there is work, in nanoseconds:
// others wait for its second look where a system call, such as a write to a slow disk,
// keeps the only processor that the runtime uses. While there is none it may be late by restSlack,
// which is what it waits by itself once it has found nothing to do for a while. A timer
// of a minute comes up to 60 ms after it is due, since Linux puts off by a thousandth
// what waits for files; the watching thread is on time, and would look sixty times until
// it has come.
const (
	workSlack = 1_000_000
	restSlack = 10_000_000
)

// Watch is the thread by which Go's runtime watches its others. By itself it looks every
// 20 us as long as anything runs, 70 us with what Linux adds, which is a seventh of the
// processor time of a service whose work comes in small pieces, and each look takes the
// processor from somebody. What that thread starts may be late as it may be.
type Watch struct {
	find  sync.Once
	slack string // the file that says by how much it may be late; empty if there is none
}

// Work has it look less often, while there is work.
func (w *Watch) Work() { w.late(workSlack) }

// Rest has it look even less often, while there is none.
func (w *Watch) Rest() { w.late(restSlack) }

func (w *Watch) late(nanoseconds int) {
	w.find.Do(func() {
		if watcher, err := watchingThread(); err == nil { // or it is as it was
			w.slack = "/proc/" + strconv.Itoa(watcher) + "/timerslack_ns"
		}
	})
	if w.slack == "" {
		return
	}
	// For a thread other than the one that writes, this needs CAP_SYS_NICE.
	_ = os.WriteFile(w.slack, []byte(strconv.Itoa(nanoseconds)), 0)
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
