//go:build linux

package early

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// screen is what the service is told of terminals.
type screen struct {
	terminal      bool // there is a controlling one
	background    bool // the command begins there
	rows, columns uint16
}

// look looks for terminals, and reports whether there is none but the controlling one. It
// is as platform/unix/caller looks at them.
//
//go:nosplit
//go:norace
func (s *screen) look() bool {
	own, errno := open(terminal, unix.O_RDWR|unix.O_NONBLOCK|unix.O_NOCTTY)
	if errno != 0 {
		own = -1
	}
	is := s.alone(own)
	if own >= 0 {
		closeFile(own)
	}
	return is
}

// alone is look, with a descriptor of the controlling terminal, -1 if there is none.
//
//go:nosplit
//go:norace
func (s *screen) alone(own int) bool {
	var device, other, group uint32
	s.terminal = own >= 0
	if s.terminal && (ioctl(own, unix.TIOCGDEV, unsafe.Pointer(&device)) != 0 || ioctl(own, unix.TIOCGPGRP, unsafe.Pointer(&group)) != 0) {
		return false
	}
	keys := false // standard input is it
	for fd := range 3 {
		switch errno := ioctl(fd, unix.TIOCGDEV, unsafe.Pointer(&other)); {
		case errno == 0 && (!s.terminal || other != device):
			return false
		case errno == 0:
			keys = keys || fd == 0
		case errno != unix.ENOTTY: // EBADF: the runtime opens something in the place of what is closed
			return false
		}
	}
	if !s.terminal {
		return true
	}
	job, _, _ := unix.RawSyscall(unix.SYS_GETPGID, 0, 0, 0)
	s.background = !keys || uint32(job) != group
	var size unix.Winsize
	for _, fd := range [4]int{0, 1, 2, own} {
		if ioctl(fd, unix.TIOCGWINSZ, unsafe.Pointer(&size)) == 0 {
			s.rows, s.columns = size.Row, size.Col
			break
		}
	}
	return true
}

//go:nosplit
//go:norace
func ioctl(fd int, request uintptr, into unsafe.Pointer) syscall.Errno {
	_, _, errno := unix.RawSyscall(unix.SYS_IOCTL, uintptr(fd), request, uintptr(into))
	return errno
}
