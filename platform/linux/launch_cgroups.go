//go:build linux

package linux

import (
	"errors"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// removeCgroups removes what is empty, and says when to come back for a
// directory that is not: never by itself if somebody lives in it.
func (l *Launcher) removeCgroups() <-chan time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	var again <-chan time.Time
	keep := l.lingering[:0]
	for _, dir := range l.lingering {
		// The kernel removes no cgroup that has a process or another cgroup in it.
		if err := unix.Rmdir(dir); err == nil || errors.Is(err, os.ErrNotExist) {
			continue
		}
		if !emptyCgroup(dir) {
			keep = append(keep, dir)
		} else if err := removeCgroup(dir); err != nil && !errors.Is(err, os.ErrNotExist) {
			keep = append(keep, dir) // still releasing the last process
			again = time.After(10 * time.Millisecond)
		}
	}
	l.lingering = keep
	return again
}

// removeHome removes every trace in the cgroup file system but the groups in
// which programs still run.
func (l *Launcher) removeHome() {
	for deadline := time.Now().Add(time.Second); l.removeCgroups() != nil && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
	if filepath.Base(l.home) == cgroupHome {
		unix.Rmdir(l.home)
	}
}
