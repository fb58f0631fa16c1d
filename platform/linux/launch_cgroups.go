//go:build linux

package linux

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// One look at the cgroups that are to go takes at most one in lookShare of the time,
// but for the first maxLookPause. Attack: each of a user's commands leaves a process
// behind, and each that ends costs a look at what all of them have left.
const (
	lookShare    = 20
	maxLookPause = time.Second
)

// removeCgroups removes what is empty, and says when to come back for a
// directory that is not: never by itself if somebody lives in it.
func (l *Launcher) removeCgroups() <-chan time.Time {
	l.mu.Lock()
	dirs := l.lingering
	l.lingering = nil
	l.mu.Unlock()

	begun, releasing := time.Now(), false
	dirs = slices.DeleteFunc(dirs, func(dir string) bool {
		// The kernel removes no cgroup that has a process or another cgroup in it.
		if err := unix.Rmdir(dir); err == nil || errors.Is(err, os.ErrNotExist) {
			return true
		}
		if !emptyCgroup(dir) {
			return false
		}
		err := removeCgroup(dir)
		gone := err == nil || errors.Is(err, os.ErrNotExist)
		releasing = releasing || !gone // the last process
		return gone
	})
	l.lookPause = min(lookShare*time.Since(begun), maxLookPause)

	l.mu.Lock()
	defer l.mu.Unlock()
	l.lingering = append(l.lingering, dirs...)
	if releasing {
		return time.After(max(l.lookPause, 10*time.Millisecond))
	}
	return nil
}

// lookSoon is when to look, if again does not say so already.
func (l *Launcher) lookSoon(again <-chan time.Time) <-chan time.Time {
	if again == nil {
		again = time.After(l.lookPause)
	}
	return again
}

// removeHome removes every trace in the cgroup file system but the groups in
// which programs still run.
func (l *Launcher) removeHome() {
	for deadline := time.Now().Add(time.Second); l.removeCgroups() != nil && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
	l.removeEmptyHome()
}

// removeEmptyHome removes the directory of the cgroups if it is the agent's own.
func (l *Launcher) removeEmptyHome() {
	if filepath.Base(l.home) == cgroupHome {
		unix.Rmdir(l.home)
	}
}
