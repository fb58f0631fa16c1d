package caller

import "golang.org/x/sys/unix"

// newTurn finds a descriptor of the terminal. One of /dev/tty will not do: that
// is one file for everybody's terminals, and a stranger could lock it.
func (s screen) newTurn(devices []uint32) turn {
	for fd, number := range s.number {
		if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0); number == 0 && err == nil && flags&unix.O_ACCMODE == unix.O_RDWR && !isShared(fd) {
			return turn{fd}
		}
	}
	if s.own < 0 {
		return turn{-1}
	}
	return turn{openTerminal(devices[0])}
}
