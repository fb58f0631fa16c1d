//go:build linux

package linux

import (
	"fmt"
	"net"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"kpm/core"
)

const (
	// screenedAtOnce is how many connections are dropped before everything else
	// that the service does goes on.
	screenedAtOnce = 8
	// maxDropped is how many connections of one user that may be slow to close
	// are closed at once, beside the loop that accepts.
	maxDropped = 16
)

// Screen implements port.DoorListener. It is called before the first Accept.
func (l *localListener) Screen(refusal func(core.UserID) []byte) { l.screen = refusal }

// acceptScreened returns the next connection that somebody is at the other end
// of, and that l.screen does not refuse.
//
// Attack: a user connects and closes as fast as possible. What that costs here
// has to be less than what it costs them, or the kernel's queue, which everybody
// is in, is full: four system calls, and nothing that the runtime has to know.
func (l *localListener) acceptScreened() (*net.UnixConn, error) {
	raw, err := l.waiting.SyscallConn()
	if err != nil {
		return nil, l.closedOr(err)
	}
	if l.spare.Load() == nil && !l.closing.Load() {
		if f, err := os.Open(os.DevNull); err == nil {
			l.spare.Store(f)
		}
	}
	for {
		accepted := -1
		var failed error
		err := raw.Read(func(listener uintptr) bool {
			for range screenedAtOnce {
				fd, err := acceptNext(listener)
				switch {
				case err == unix.EAGAIN:
					return false
				case err == unix.EINTR || err == unix.ECONNABORTED:
				case err != 0:
					failed = os.NewSyscallError("accept4", err)
					return true
				case l.passes(fd):
					accepted = fd
					return true
				}
			}
			return true
		})
		switch {
		case err != nil:
			return nil, l.closedOr(err)
		case failed != nil:
			return nil, failed
		case accepted >= 0:
			return l.unixConn(accepted)
		}
		l.yielder.Yield()
	}
}

// acceptNext takes the next connection that waits, or returns EAGAIN. It does not
// ask for the address, which callers have none of, and does not wait, so that the
// runtime need not know.
func acceptNext(listener uintptr) (int, syscall.Errno) {
	fd, _, errno := unix.RawSyscall6(unix.SYS_ACCEPT4, listener, 0, 0, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0, 0)
	return int(fd), errno
}

// closedOr words the end of a listener as package net does.
func (l *localListener) closedOr(err error) error {
	if l.closing.Load() {
		return net.ErrClosed
	}
	return err
}

// unixConn makes a connection of an accepted socket. For a moment that takes two
// descriptors: whoever got the last one would be hung up on without a word, and
// take the service for one that is restarted.
func (l *localListener) unixConn(fd int) (*net.UnixConn, error) {
	f := os.NewFile(uintptr(fd), "accepted")
	defer f.Close()
	conn, err := net.FileConn(f)
	if core.ResourceOf(err) != "" {
		l.dropSpare()
		conn, err = net.FileConn(f)
	}
	if err != nil {
		return nil, err
	}
	local, ok := conn.(*net.UnixConn)
	if !ok {
		conn.Close()
		return nil, fmt.Errorf("accept: %T is no local socket", conn)
	}
	return local, nil
}

// dropSpare gives up the descriptor that is held back for unixConn.
func (l *localListener) dropSpare() {
	if f := l.spare.Swap(nil); f != nil {
		f.Close()
	}
}

// passes reports whether a connection is to be served, and drops it otherwise.
func (l *localListener) passes(fd int) bool {
	left := hungUp(fd)
	if left && silent(fd) { // in whose name it was does not matter
		unix.Close(fd)
		return false
	}
	cred, err := credentials(fd)
	if err != nil || left {
		l.drop(fd, cred)
		return false
	}
	if l.screen == nil {
		return true
	}
	refusal := l.screen(userID(cred.Uid))
	if refusal == nil {
		return true
	}
	if len(refusal) > 0 { // whoever does not take it has been told enough
		_ = unix.Sendto(fd, refusal, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, nil)
	}
	l.drop(fd, cred)
	return false
}

// payer is whose part of the limits a connection uses. Attack: a user with
// subordinate ids is 65,536 users, and each would have threads that wait for a
// close: the runtime ends a process with 10,000.
func (l *localListener) payer(cred *unix.Ucred) core.UserID {
	switch {
	case cred == nil:
		return core.Unknown
	case l.accounts == nil:
		return userID(cred.Uid)
	}
	return l.accounts.Share(userID(cred.Uid))
}

// drop closes a connection. What was sent on it may hold descriptors whose
// closing takes its time (localConn.Close).
func (l *localListener) drop(fd int, cred *unix.Ucred) {
	if silent(fd) {
		unix.Close(fd)
		return
	}
	slot, err := l.dropped.TryTake(l.payer(cred), 1)
	if err != nil {
		hurried(func() { unix.Close(fd) })
		return
	}
	l.droppers.Go(func() {
		defer slot.Release()
		hurried(func() { unix.Close(fd) })
	})
}

// silent reports whether nothing waits to be read, which means that no descriptors
// do: they travel with a byte.
func silent(fd int) bool {
	waiting, err := unix.IoctlGetInt(fd, unix.SIOCINQ)
	return err == nil && waiting == 0
}
