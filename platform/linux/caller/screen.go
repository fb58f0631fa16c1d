//go:build linux

package caller

import (
	"slices"
	"strconv"

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
		for s.number[fd] = range devices {
			if devices[s.number[fd]] == device {
				break
			}
		}
		if len(devices) == 0 || devices[s.number[fd]] != device {
			s.number[fd] = len(devices)
			devices = append(devices, device)
		}
	}
	s.turn = s.newTurn(devices)
	way, _ := s.way()
	s.background = way == borrowed || !s.foreground()
	return s
}

// deviceOf returns the device of a terminal, also where it was opened as
// /dev/tty.
func deviceOf(fd int) (uint32, bool) {
	device, err := unix.IoctlGetUint32(fd, unix.TIOCGDEV)
	return device, err == nil && isTerminal(fd)
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

// turn is whose turn it is at a terminal, among the keepersudo that a shell
// takes for one job: settings that two change at once are restored to what the
// other one set. It is a record lock on the terminal's file, since the kernel
// gives that back whatever becomes of us. Where no descriptor can be locked, it
// is always ours.
type turn struct{ fd int }

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
	device := uint64(devices[0])
	// The slaves of pseudo terminals are numbered by device number; others have
	// names of all kinds.
	if major := unix.Major(device); major < 136 || major > 143 {
		return turn{-1}
	}
	path := "/dev/pts/" + strconv.Itoa(int(unix.Major(device)-136)<<20+int(unix.Minor(device)))
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return turn{-1}
	}
	if found, ok := deviceOf(fd); !ok || found != devices[0] {
		unix.Close(fd)
		return turn{-1}
	}
	return turn{fd}
}

// isShared reports whether fd was opened as /dev/tty.
func isShared(fd int) bool {
	var st unix.Stat_t
	return unix.Fstat(fd, &st) != nil || unix.Major(st.Rdev) == 5 && unix.Minor(st.Rdev) == 0
}

// lock is the part of the file that stands for our job.
func (turn) lock(kind int16) *unix.Flock_t {
	return &unix.Flock_t{Type: kind, Start: int64(unix.Getpgrp()), Len: 1}
}

// take reports whether it is our turn, until give.
func (t turn) take() bool {
	err := unix.FcntlFlock(uintptr(t.fd), unix.F_SETLK, t.lock(unix.F_WRLCK))
	return err != unix.EAGAIN && err != unix.EACCES
}

func (t turn) give() { unix.FcntlFlock(uintptr(t.fd), unix.F_SETLK, t.lock(unix.F_UNLCK)) }

// taken reports whether it is another's turn.
func (t turn) taken() bool {
	lock := t.lock(unix.F_WRLCK)
	return unix.FcntlFlock(uintptr(t.fd), unix.F_GETLK, lock) == nil && lock.Type != unix.F_UNLCK
}
