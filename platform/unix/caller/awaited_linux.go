package caller

import (
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// awaited is a descriptor that the runtime's poller waits for, until there is something
// to read. Others have it as well, and its mode is theirs as much as ours. A thread that
// waits in a system call of its own keeps the one processor until the runtime looks after
// it, and what the service says meanwhile is not heard.
//
// The poller takes only what never waits. So it waits for a set (epoll(7)), which is ours
// alone and is ready when what lies in it is.
type awaited struct {
	fd     int
	wake   wakePipe
	set    *os.File
	raw    syscall.RawConn // of set; nil if there is none, and a thread has to wait
	wanted int16
}

// newAwaited waits for fd, and for wake unless that has no ends.
func newAwaited(fd int, wake wakePipe) *awaited {
	w := &awaited{fd: fd, wake: wake, wanted: unix.POLLIN}
	set, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return w
	}
	err = unix.SetNonblock(set, true) // by which package os knows that it can be waited for
	for _, in := range []int{fd, wake[0]} {
		if err == nil && in >= 0 {
			err = unix.EpollCtl(set, unix.EPOLL_CTL_ADD, in, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(in)})
		}
	}
	if err != nil {
		unix.Close(set)
		return w
	}
	w.set = os.NewFile(uintptr(set), "awaited")
	w.raw, err = w.set.SyscallConn()
	if err == nil {
		err = w.set.SetReadDeadline(time.Time{})
	}
	if err != nil { // the poller has not taken it
		w.raw = nil
	}
	return w
}

// wait waits for at most timeout milliseconds, without limit if that is negative, until
// the descriptor has something of wanted, which is POLLIN or nothing, is hung up, or
// somebody wakes us, and returns what the descriptor has, as poll does.
func (w *awaited) wait(timeout int, wanted int16) int16 {
	if w.raw == nil {
		return poll(timeout, unix.PollFd{Fd: int32(w.fd), Events: wanted}, w.wake.pollable())[0].Revents
	}
	if wanted != w.wanted {
		w.wanted = wanted
		_ = w.raw.Control(func(set uintptr) { // fd is in it
			_ = unix.EpollCtl(int(set), unix.EPOLL_CTL_MOD, w.fd, &unix.EpollEvent{Events: uint32(wanted), Fd: int32(w.fd)})
		})
	}
	if timeout >= 0 {
		_ = w.set.SetReadDeadline(time.Now().Add(time.Duration(timeout) * time.Millisecond))
		defer func() { _ = w.set.SetReadDeadline(time.Time{}) }()
	}
	var events [2]unix.EpollEvent
	n := 0
	_ = w.raw.Read(func(set uintptr) bool {
		var err error
		for {
			if n, err = unix.EpollWait(int(set), events[:], 0); err != unix.EINTR {
				return n != 0
			}
		}
	})
	for _, event := range events[:max(0, n)] {
		if event.Fd == int32(w.fd) {
			return int16(event.Events)
		}
	}
	return 0
}

// close ends it. Nobody waits.
func (w *awaited) close() {
	if w.set != nil {
		w.set.Close()
	}
}
