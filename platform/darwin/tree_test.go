//go:build linux

package darwin

import (
	"testing"
	"testing/synctest"
	"time"

	"kpm/platform/darwin/kernel"
)

// keepingBack is a machine on which some processes keep their environment back.
type keepingBack struct {
	linux
	last int
	end  chan struct{}
}

func (k keepingBack) carries(pid int, _ string) bool {
	if pid <= k.last {
		<-k.end
	}
	return true
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
		begun := time.Now()
		for range 2 {
			for pid := range maxLate - 1 {
				if tree.carries(pid+1, "A=1") {
					t.Errorf("%d has said what it was started with", pid+1)
				}
			}
		}
		if took := time.Since(begun); took != (maxLate-1)*lateTime {
			t.Errorf("they were waited for %s, each of them once is %s", took, (maxLate-1)*lateTime)
		}
		if !tree.carries(on.last+1, "A=1") {
			t.Error("others are not asked")
		}
		if tree.carries(maxLate, "A=1") || tree.carries(on.last+1, "A=1") {
			t.Error("more are waited for than may be")
		}
		if !tree.carries(101, "A=1") {
			t.Error("a process of another user is not asked")
		}
		close(on.end)
		synctest.Wait()
		for pid := range maxLate + 1 {
			if !tree.carries(pid+1, "A=1") {
				t.Errorf("%d is still late", pid+1)
			}
		}
	})
}
