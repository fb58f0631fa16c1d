package caller

import (
	"golang.org/x/sys/unix"

	"kpm/platform/darwin/held"
)

// What the command's helper is asked.
const (
	askForeground = held.AskForeground
	askBackground = held.AskBackground
	askSuspend    = held.AskSuspend
)

// A terminal's settings (termios(4)).
const (
	getMode         = unix.TIOCGETA
	setMode         = unix.TIOCSETA
	setModeAndFlush = unix.TIOCSETAF
)

type modeFlags = uint64

// Flags of sendmsg(2) and recvmsg(2). The Go runtime ignores SIGPIPE but for 1
// and 2.
const (
	sendFlags    = 0
	receiveFlags = 0
)

// lostByError is whether an error of read(2) is how a terminal's end is seen: select(2)
// says only that it can be read.
const lostByError = true

// poll waits at most timeout milliseconds, for ever if it is negative, and
// returns what happened to each. poll(2) does not know terminals on macOS, and
// select(2) does: a descriptor that cannot be asked about is ready, so that whoever
// uses it hears why.
func poll(timeout int, fds ...unix.PollFd) []unix.PollFd {
	for {
		var read, write unix.FdSet
		highest := -1
		for _, fd := range fds {
			if fd.Fd < 0 || fd.Events == 0 {
				continue
			}
			highest = max(highest, int(fd.Fd))
			if fd.Events&unix.POLLOUT != 0 {
				write.Set(int(fd.Fd))
			} else {
				read.Set(int(fd.Fd))
			}
		}
		var limit *unix.Timeval
		if timeout >= 0 {
			t := unix.NsecToTimeval(int64(timeout) * 1_000_000)
			limit = &t
		}
		_, err := unix.Select(highest+1, &read, &write, nil, limit)
		if err == unix.EINTR {
			continue
		}
		for i, fd := range fds {
			if fd.Fd >= 0 && fd.Events != 0 && (err != nil || read.IsSet(int(fd.Fd)) || write.IsSet(int(fd.Fd))) {
				fds[i].Revents = fd.Events
			}
		}
		return fds
	}
}

// newPipe makes a pipe of which no end waits.
func newPipe() (ends [2]int, err error) {
	if err := unix.Pipe(ends[:]); err != nil {
		return ends, err
	}
	for _, fd := range ends {
		unix.CloseOnExec(fd)
		if err := unix.SetNonblock(fd, true); err != nil {
			return ends, err
		}
	}
	return ends, nil
}
