//go:build linux

package linux

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// childInfo is the kernel's siginfo_t as waitid(2) fills it in on 64-bit
// machines.
type childInfo struct {
	_   [4]int32
	pid int32
	_   [27]int32
}

// reapOrphans reaps the zombies that ended launch groups left to us. It takes
// care not to take an exit status from somebody who waits for it: our own
// children are known, and children that other code in this process started are
// in our session, which nothing in a launch group can enter.
func (l *Launcher) reapOrphans() {
	l.mu.Lock()
	defer l.mu.Unlock()
	own, err := unix.Getsid(0)
	if err != nil {
		return
	}
	for {
		pid := nextZombie()
		if pid == 0 || l.children[pid] != nil {
			return // a child's own goroutine takes it and calls here again
		}
		if !reapOrphan(pid, own) {
			break
		}
	}
	// Somebody else's zombie stands before the others.
	for _, pid := range allPids() {
		if s, ok := readStat(pid); ok && s.dead() && s.parent == l.tree.self.PID && l.children[pid] == nil {
			reapOrphan(pid, own)
		}
	}
}

// reapOrphan reaps pid unless it is in session own.
func reapOrphan(pid, own int) bool {
	session, err := unix.Getsid(pid)
	if err != nil || session == own {
		return false
	}
	reaped, err := unix.Wait4(pid, nil, unix.WNOHANG, nil)
	return err == nil && reaped == pid
}

// nextZombie returns a child that has ended, or 0. It stays a zombie.
func nextZombie() int {
	var info childInfo
	err := retry(func() error {
		return unix.Waitid(unix.P_ALL, 0, (*unix.Siginfo)(unsafe.Pointer(&info)),
			unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil)
	})
	if err != nil {
		return 0
	}
	return int(info.pid)
}

// retry calls again while a signal interrupts the system call.
func retry(call func() error) error {
	for {
		if err := call(); err != unix.EINTR {
			return err
		}
	}
}
