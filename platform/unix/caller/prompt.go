//go:build linux || darwin

package caller

import (
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	port "kpm/core/port/caller"
)

// maxAnswer bounds an answer in bytes; a terminal delivers no longer line.
const maxAnswer = 4096

// waiting is shown while another keepersudo of the same job has the terminal.
const waiting = "keepersudo: waiting until another keepersudo has done with this terminal\n"

// question is one that is asked at a terminal.
type question struct {
	in, out int
	text    string
	secret  bool
	before  unix.Termios
	again   atomic.Bool // the person may have lost sight of it
	wake    wakePipe
}

// Ask implements port.Prompt.
func (c *console) Ask(asked port.Question, timeout time.Duration, cancelled func() bool) (string, port.Outcome) {
	end := time.Now().Add(timeout)
	in, out := person()
	if in < 0 {
		return "", port.Cancelled
	}
	if in > unix.Stderr {
		defer unix.Close(in)
	}
	if outcome := c.awaitTurn(out, end, cancelled); outcome != port.Answered {
		return "", outcome
	}
	defer c.screen().turn.give()
	before, err := unix.IoctlGetTermios(in, getMode)
	if err != nil {
		return "", port.Cancelled
	}
	q := &question{in: in, out: out, text: asked.Text, secret: asked.Secret, before: *before, wake: c.wake}
	c.setQuestion(q)
	defer c.setQuestion(nil)
	defer q.leave()
	if !q.show() {
		return "", port.Cancelled
	}
	line, outcome := c.readAnswer(q, end, cancelled)
	if outcome != port.Answered || asked.Secret { // whose line end is not shown either
		writeAll(out, []byte("\n"))
	}
	return line, outcome
}

func (c *console) setQuestion(q *question) {
	c.mu.Lock()
	c.question = q
	c.mu.Unlock()
}

// Wake implements port.Prompt.
func (c *console) Wake() { c.wake.wake() }

// show shows the question and makes the terminal ready for its answer. In the
// background the kernel stops us until a shell puts us into the foreground.
// setModeAndFlush discards what was typed before (port.Prompt).
func (q *question) show() bool {
	q.again.Store(false)
	return unix.IoctlSetTermios(q.in, setModeAndFlush, asking(q.before, q.secret)) == nil && writeAll(q.out, []byte(q.text)) == nil
}

// leave gives the terminal back, without what was typed, unless it is somebody
// else's by now.
func (q *question) leave() {
	if group, err := unix.IoctlGetInt(q.in, unix.TIOCGPGRP); err != nil || group == unix.Getpgrp() {
		unix.IoctlSetTermios(q.in, setModeAndFlush, &q.before)
	}
}

// comeBack has the question shown again.
func (q *question) comeBack() {
	q.again.Store(true)
	q.wake.wake()
}

// awaitTurn waits until no other keepersudo of this job has the terminal, and
// takes it: its person answers one question at a time, and knows which.
func (c *console) awaitTurn(out int, end time.Time, cancelled func() bool) port.Outcome {
	for said := false; !c.screen().turn.take(); said = true {
		if !said {
			writeAll(out, []byte(waiting))
		}
		ready := poll(lookAgain, unix.PollFd{Fd: int32(c.conn.fd), Events: unix.POLLIN}, c.wake.pollable())
		c.wake.drain()
		switch {
		case ready[0].Revents != 0:
			return port.Overtaken
		case cancelled(), !time.Now().Before(end):
			return port.Cancelled
		}
	}
	return port.Answered
}

// readAnswer waits for the person, for the service to go on, for a signal and
// for the end of the time.
func (c *console) readAnswer(q *question, end time.Time, cancelled func() bool) (string, port.Outcome) {
	for {
		ready := poll(int(max(0, time.Until(end).Milliseconds())),
			unix.PollFd{Fd: int32(q.in), Events: unix.POLLIN},
			unix.PollFd{Fd: int32(c.conn.fd), Events: unix.POLLIN},
			c.wake.pollable())
		switch {
		case ready[1].Revents != 0:
			return "", port.Overtaken
		case cancelled(), ready[0].Revents == 0 && !time.Now().Before(end):
			return "", port.Cancelled
		case ready[2].Revents != 0:
			c.wake.drain()
			if q.again.Load() && !q.show() {
				return "", port.Cancelled
			}
		case ready[0].Revents != 0:
			return readLine(q.in)
		}
	}
}

// asking returns the settings with which one line is read, and seen unless it is
// secret, whatever state the terminal was left in.
func asking(s unix.Termios, secret bool) *unix.Termios {
	s.Iflag |= unix.ICRNL
	s.Iflag &^= unix.IGNCR | unix.INLCR
	s.Oflag |= unix.OPOST | unix.ONLCR
	s.Lflag |= unix.ICANON | unix.ISIG | unix.ECHO | unix.ECHOE | unix.ECHOK | unix.IEXTEN
	s.Lflag &^= unix.NOFLSH
	if secret {
		s.Lflag &^= unix.ECHO | unix.ECHOE | unix.ECHOK | unix.ECHONL
	}
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
