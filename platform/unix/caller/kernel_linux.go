package caller

import (
	"golang.org/x/sys/unix"

	"kpm/platform/linux/held"
)

// What the command's helper is asked.
const (
	askForeground = held.AskForeground
	askBackground = held.AskBackground
	askSuspend    = held.AskSuspend
)

// A terminal's settings (termios(3)).
const (
	getMode         = unix.TCGETS
	setMode         = unix.TCSETS
	setModeAndFlush = unix.TCSETSF
)

type modeFlags = uint32

// Flags of sendmsg(2) and recvmsg(2).
const (
	sendFlags    = unix.MSG_NOSIGNAL
	receiveFlags = unix.MSG_CMSG_CLOEXEC
)

// lostByError is whether an error of read(2) is how a terminal's end is seen. Here
// poll(2) says it, and the error is that of a job in the background.
const lostByError = false

// poll waits at most timeout milliseconds, for ever if it is negative, and
// returns what happened to each.
func poll(timeout int, fds ...unix.PollFd) []unix.PollFd {
	for {
		if _, err := unix.Poll(fds, timeout); err != unix.EINTR {
			return fds
		}
	}
}

// newPipe makes a pipe of which no end waits.
func newPipe() (ends [2]int, err error) {
	err = unix.Pipe2(ends[:], unix.O_CLOEXEC|unix.O_NONBLOCK)
	return ends, err
}
