//go:build linux

package darwin

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"kpm/core"
	"kpm/core/port"
	"kpm/platform/darwin/kernel"
	"kpm/platform/darwin/launchgroup"
)

// keepingBack is a machine on which some processes keep their environment back.
type keepingBack struct {
	linux
	last int
	end  chan struct{}
}

func (k keepingBack) carried(pid int, _ map[string]bool) []string {
	if pid <= k.last {
		<-k.end
	}
	return []string{"A=1"}
}

// process is of a user of its own for every hundred pids.
func (k keepingBack) process(pid int) (kernel.Process, bool) {
	return kernel.Process{PID: pid, User: uint32(pid / 100)}, true
}

// Attack: a process keeps its environment back, and nobody's group could be ended.
func TestEnvironmentsThatAreKeptBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		on := keepingBack{last: maxLate, end: make(chan struct{})}
		tree := newTree(on)
		carries := func(pid int) bool { return len(tree.carried(pid, nil)) > 0 }
		begun := time.Now()
		for range 2 {
			for pid := range maxLate - 1 {
				if carries(pid + 1) {
					t.Errorf("%d has said what it was started with", pid+1)
				}
			}
		}
		if took := time.Since(begun); took != (maxLate-1)*lateTime {
			t.Errorf("they were waited for %s, each of them once is %s", took, (maxLate-1)*lateTime)
		}
		if !carries(on.last + 1) {
			t.Error("others are not asked")
		}
		if carries(maxLate) || carries(on.last+1) {
			t.Error("more are waited for than may be")
		}
		if !carries(101) {
			t.Error("a process of another user is not asked")
		}
		close(on.end)
		synctest.Wait()
		for pid := range maxLate + 1 {
			if !carries(pid + 1) {
				t.Errorf("%d is still late", pid+1)
			}
		}
	})
}

// counting counts how often each process is asked what it was started with.
type counting struct {
	linux
	mu    sync.Mutex
	asked map[int]int
}

func (c *counting) carried(pid int, wanted map[string]bool) []string {
	c.mu.Lock()
	c.asked[pid]++
	c.mu.Unlock()
	return c.linux.carried(pid, wanted)
}

// One look at many groups asks each process once.
func TestEachProcessIsAskedOnce(t *testing.T) {
	on := &counting{asked: map[int]int{}}
	tree := newTree(on)
	var groups []port.Group
	for i := range 20 {
		root := core.ProcessID{PID: 1 << 21, Start: uint64(i)}
		groups = append(groups, port.Group{Root: root, Name: launchgroup.Name(root, tree.boot, []string{fmt.Sprint("KEEPER_REQUEST_ID=nobody", i)})})
	}
	occupied, err := tree.Occupied(groups)
	if err != nil || slices.Contains(occupied, true) || len(on.asked) == 0 {
		t.Fatalf("occupied: %v, %v; %d processes were asked", occupied, err, len(on.asked))
	}
	for pid, times := range on.asked {
		if times > 1 {
			t.Errorf("process %d was asked %d times", pid, times)
		}
	}
}
