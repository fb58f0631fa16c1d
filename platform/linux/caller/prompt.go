//go:build linux

package caller

import (
	"time"

	"golang.org/x/sys/unix"

	port "kpm/core/port/caller"
)

// maxAnswer bounds an answer in bytes; a terminal delivers no longer line.
const maxAnswer = 4096

// Ask implements port.Prompt.
func (c *console) Ask(text string, timeout time.Duration, cancelled func() bool) (string, port.Outcome) {
	in, out := person()
	if in < 0 {
		return "", port.Cancelled
	}
	if in > unix.Stderr {
		defer unix.Close(in)
	}
	before, err := unix.IoctlGetTermios(in, unix.TCGETS)
	if err != nil {
		return "", port.Cancelled
	}
	// TCSETSF discards what was typed before the question and what is typed
	// when it is over (port.Prompt).
	unix.IoctlSetTermios(in, unix.TCSETSF, asking(*before))
	defer unix.IoctlSetTermios(in, unix.TCSETSF, before)
	writeAll(out, []byte(text))
	line, outcome := c.readAnswer(in, time.Now().Add(timeout), cancelled)
	if outcome != port.Answered {
		writeAll(out, []byte("\n"))
	}
	return line, outcome
}

// Wake implements port.Prompt.
func (c *console) Wake() { c.wake.wake() }

// readAnswer waits for the person, for the service to go on, for a signal and
// for the end of the time.
func (c *console) readAnswer(in int, end time.Time, cancelled func() bool) (string, port.Outcome) {
	for {
		ready := poll(int(max(0, time.Until(end).Milliseconds())),
			unix.PollFd{Fd: int32(in), Events: unix.POLLIN},
			unix.PollFd{Fd: int32(c.conn.fd), Events: unix.POLLIN},
			c.wake.pollable())
		switch {
		case ready[1].Revents != 0:
			return "", port.Overtaken
		case cancelled(), ready[0].Revents == 0 && !time.Now().Before(end):
			return "", port.Cancelled
		case ready[2].Revents != 0:
			c.wake.drain()
		case ready[0].Revents != 0:
			return readLine(in)
		}
	}
}

// asking returns the settings with which one line is read and seen, whatever
// state the terminal was left in.
func asking(s unix.Termios) *unix.Termios {
	s.Iflag |= unix.ICRNL
	s.Iflag &^= unix.IGNCR | unix.INLCR
	s.Oflag |= unix.OPOST | unix.ONLCR
	s.Lflag |= unix.ICANON | unix.ISIG | unix.ECHO | unix.ECHOE | unix.ECHOK | unix.IEXTEN
	s.Lflag &^= unix.NOFLSH
	return &s
}

// person returns the terminal to ask at, or -1.
func person() (in, out int) {
	if tty, err := unix.Open("/dev/tty", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0); err == nil {
		return tty, tty
	}
	if isTerminal(unix.Stdin) && isTerminal(unix.Stderr) {
		return unix.Stdin, unix.Stderr
	}
	return -1, -1
}

// readLine reads one line from a terminal in canonical mode. End of file, also
// in the middle of a line, is no answer.
func readLine(fd int) (string, port.Outcome) {
	var b [maxAnswer]byte
	for {
		n, err := unix.Read(fd, b[:])
		if err == unix.EINTR {
			continue
		}
		if err != nil || n == 0 || b[n-1] != '\n' {
			return "", port.Cancelled
		}
		return string(b[:n-1]), port.Answered
	}
}
