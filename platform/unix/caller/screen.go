//go:build linux || darwin

package caller

import (
	"slices"

	"golang.org/x/sys/unix"

	port "kpm/core/port/caller"
)

// screen is what terminals this process has.
type screen struct {
	// own is our controlling terminal, -1 if there is none. It is a descriptor
	// of ours: that it does not block is nobody else's affair.
	own int
	// number is that of the terminal that 0, 1 and 2 are each: -1 if it is
	// none, 0 if it is our own or, if there is none, the first.
	number     [3]int
	background bool // the command begins there
	turn       turn
}

// newScreen looks at 0 to 2 and at the controlling terminal.
func newScreen() screen {
	s := screen{own: -1, number: [3]int{-1, -1, -1}}
	var devices []uint32
	if tty, err := unix.Open("/dev/tty", unix.O_RDWR|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC, 0); err == nil {
		s.own = tty
		device, _ := deviceOf(tty)
		devices = append(devices, device)
	}
	for fd := range s.number {
		device, ok := deviceOf(fd)
		if !ok {
			continue
		}
		at := slices.Index(devices, device)
		if at < 0 {
			at = len(devices)
			devices = append(devices, device)
		}
		s.number[fd] = at
	}
	s.turn = s.newTurn(devices)
	way, _ := s.way()
	s.background = way == borrowed || !s.foreground()
	return s
}

// numbered returns the one of 0 to 2 to write to for a terminal, -1 if there is
// none.
func (s screen) numbered(number int) int {
	for _, fd := range [...]int{unix.Stdout, unix.Stderr, unix.Stdin} {
		if s.number[fd] == number {
			return fd
		}
	}
	return -1
}

// apart returns the number of the i-th terminal that is not the controlling
// one, in the order of the streams: so the service sends their master sides.
func (s screen) apart(i int) int {
	var seen []int
	for _, number := range s.number {
		if number > 0 && !slices.Contains(seen, number) {
			seen = append(seen, number)
		}
	}
	return seen[min(i, len(seen)-1)]
}

// foreground reports whether our shell means us by what is typed. Nobody's
// shell controls a terminal that is not our session's.
func (s screen) foreground() bool {
	group, err := unix.IoctlGetInt(s.own, unix.TIOCGPGRP)
	return s.own < 0 || err == nil && group == unix.Getpgrp()
}

// way returns how keys get to the command's controlling terminal, and from
// where.
func (s screen) way() (way, int) {
	switch {
	case s.number[unix.Stdin] != 0 && s.own < 0:
		return none, -1
	case s.number[unix.Stdin] != 0:
		return borrowed, s.own
	case s.own < 0:
		return lines, unix.Stdin
	case isPipe(unix.Stdout) || isPipe(unix.Stderr):
		return lines, s.own
	}
	return direct, s.own
}

// port returns what the service is told.
func (s screen) port() port.Screen {
	told := port.Screen{Terminal: s.own >= 0, Background: s.background}
	for fd, number := range s.number {
		told.Apart[fd] = uint8(max(0, number))
	}
	for _, fd := range [...]int{unix.Stdin, unix.Stdout, unix.Stderr, s.own} {
		if size, err := unix.IoctlGetWinsize(fd, unix.TIOCGWINSZ); err == nil {
			told.Rows, told.Columns = size.Row, size.Col
			break
		}
	}
	return told
}
