//go:build linux

package early

import (
	"unsafe"

	"golang.org/x/sys/unix"

	"kpm/core/door"
)

// exitSignal is added to a signal's number in exit statuses.
const exitSignal = 128

// patience is how long a service may take, in seconds, to hear a signal that comes before
// the command is known to run.
const patience = 1

// wait passes the command's end and what it is told on, and returns if the runtime is to
// go on from here.
//
//go:nosplit
//go:norace
func (s *stage) wait() {
	var polled [3]unix.PollFd
	polled[0].Fd, polled[1].Fd, polled[2].Fd = int32(s.conn), int32(s.signals), int32(s.stop)
	for i := range polled {
		polled[i].Events = unix.POLLIN
	}
	for s.have < len(s.received) {
		var timeout uintptr
		soon := unix.Timespec{Sec: patience}
		if s.interrupted != 0 {
			timeout = uintptr(unsafe.Pointer(&soon))
		}
		n, _, errno := unix.RawSyscall6(unix.SYS_PPOLL, uintptr(unsafe.Pointer(&polled)), uintptr(len(polled)), timeout, 0, 0, 0)
		switch {
		case errno == unix.EINTR: // it was stopped
			continue
		case errno != 0:
			return
		case n == 0:
			s.endInterrupted()
		}
		if polled[0].Revents != 0 && !s.hear() {
			return
		}
		if polled[1].Revents != 0 && !s.pass(true) {
			return
		}
		if polled[2].Revents != 0 {
			return
		}
	}
}

// hear reads what the service says, and reports whether nothing but the end of the command
// has to be waited for. It ends if that has come.
//
//go:nosplit
//go:norace
func (s *stage) hear() bool {
	n, _, errno := unix.RawSyscall(unix.SYS_READ, uintptr(s.conn), uintptr(unsafe.Pointer(&s.received[s.have])), uintptr(len(s.received)-s.have))
	if errno != 0 || n == 0 {
		return false
	}
	s.have += int(n)
	for at := 0; s.have-at >= headerSize; at += headerSize {
		switch kind, size := door.Type(s.received[at]), s.number(at+1); {
		case kind == door.TypeStarted && size == 0:
			s.started, s.interrupted = true, 0
		case kind == door.TypeExit && size == 8:
			if s.have-at < headerSize+8 {
				return true
			}
			if by := s.number(at + headerSize + 4); by != 0 {
				exit(exitSignal + by)
			}
			exit(s.number(at + headerSize))
		case kind == door.TypeRefused && s.interrupted != 0:
			s.endInterrupted()
		default:
			return false
		}
	}
	return true
}

// number is the big-endian one at an offset of received.
//
//go:nosplit
//go:norace
func (s *stage) number(at int) uint32 {
	n := uint32(0)
	for i := range 4 {
		n = n<<8 | uint32(s.received[at+i])
	}
	return n
}

//go:nosplit
//go:norace
func exit(status uint32) {
	for {
		unix.RawSyscall(unix.SYS_EXIT_GROUP, uintptr(status), 0, 0)
	}
}
