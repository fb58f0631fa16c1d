//go:build linux

package turns

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// asleep reports whether a thread of this process is in nanosleep(2), which of the
// runtime's threads the watching one alone calls again and again.
func asleep(thread int) bool {
	call, err := os.ReadFile(fmt.Sprintf("/proc/self/task/%d/syscall", thread))
	return err == nil && strings.HasPrefix(string(call), strconv.Itoa(unix.SYS_NANOSLEEP)+" ")
}

// The thread that is told to look less often is the one that watches, with this version
// of Go.
func TestTheWatchingThread(t *testing.T) {
	watcher, err := watchingThread()
	if err != nil {
		t.Fatal(err)
	}
	found := map[int]int{}
	for end := time.Now().Add(10 * time.Second); found[watcher] < 20 && time.Now().Before(end); {
		entries, err := os.ReadDir("/proc/self/task")
		if err != nil {
			t.Fatal(err)
		}
		for _, entry := range entries {
			if thread, err := strconv.Atoi(entry.Name()); err == nil && asleep(thread) {
				found[thread]++
			}
		}
	}
	for thread, times := range found {
		if thread != watcher && times >= found[watcher] {
			t.Errorf("thread %d sleeps again and again (%d times), %d is said to (%d times)", thread, times, watcher, found[watcher])
		}
	}
	if found[watcher] == 0 {
		t.Errorf("thread %d never sleeps: %v", watcher, found)
	}
}

func TestTheWatchingThreadLooksLessOften(t *testing.T) {
	watcher, err := watchingThread()
	if err != nil {
		t.Fatal(err)
	}
	slack := func(process int) string {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/timerslack_ns", process))
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(string(text))
	}
	ours := slack(os.Getpid())
	var w Watch
	for _, step := range []struct {
		name string
		do   func()
		want int
	}{
		{"at work", w.Work, workSlack}, {"at rest", w.Rest, restSlack}, {"at work again", w.Work, workSlack},
	} {
		step.do()
		if got := slack(watcher); got != strconv.Itoa(step.want) {
			t.Errorf("%s the watching thread may be %s ns late, want %d", step.name, got, step.want)
		}
	}
	if now := slack(os.Getpid()); now != ours {
		t.Errorf("this thread may be %s ns late, and %s before", now, ours)
	}
}
