//go:build linux

package main

import (
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"kpm/core/door"
)

// maxAnswer bounds an answer in bytes; a terminal delivers no longer line.
const maxAnswer = 4096

// prompt asks the person and sends the answer. Where there is nobody to ask
// the answer is that it was cancelled.
func (s *session) prompt(p door.Prompt) {
	answer, reply := door.Answer{Cancelled: true}, true
	in, out := -1, -1
	if !s.nonInteractive {
		in, out = person()
	}
	if in >= 0 {
		s.setAsking(true)
		answer, reply = s.ask(p, in, out)
		s.setAsking(false)
		if in > unix.Stderr {
			unix.Close(in)
		}
	}
	switch sig := unix.Signal(s.cancelled.Swap(0)); sig {
	case unix.SIGTERM, unix.SIGHUP:
		os.Exit(128 + int(sig)) // the service sees the caller go
	}
	if reply {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.conn.send(door.TypeAnswer, answer.Encode())
	}
}

func (s *session) setAsking(asking bool) {
	s.mu.Lock()
	s.asking = asking
	s.mu.Unlock()
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

// ask puts the question. reply is false if the service has gone on without an
// answer.
//
// Attack: what was typed before the question was shown is taken for its answer,
// or what is typed when it is over is shown or run (CVE-2025-64170). Input is
// flushed both times.
func (s *session) ask(p door.Prompt, in, out int) (answer door.Answer, reply bool) {
	before, err := unix.IoctlGetTermios(in, unix.TCGETS)
	if err != nil {
		return door.Answer{Cancelled: true}, true
	}
	during := *before
	during.Iflag |= unix.ICRNL
	during.Iflag &^= unix.IGNCR | unix.INLCR
	during.Oflag |= unix.OPOST | unix.ONLCR
	during.Lflag |= unix.ICANON | unix.ISIG | unix.ECHO | unix.ECHOE | unix.ECHOK | unix.IEXTEN
	during.Lflag &^= unix.NOFLSH
	unix.IoctlSetTermios(in, unix.TCSETSF, &during)
	defer unix.IoctlSetTermios(in, unix.TCSETSF, before)

	text := printable(p.Text)
	if !strings.HasSuffix(text, " ") && !strings.HasSuffix(text, "\n") {
		text += " "
	}
	say(out, text)
	end := time.Now().Add(time.Duration(p.TimeoutSeconds) * time.Second)
	for {
		ready := poll(int(max(0, time.Until(end).Milliseconds())),
			unix.PollFd{Fd: int32(in), Events: unix.POLLIN},
			unix.PollFd{Fd: int32(s.conn.fd), Events: unix.POLLIN},
			s.bell.pollable())
		switch {
		case ready[1].Revents != 0:
			say(out, "\n")
			return door.Answer{}, false
		case s.cancelled.Load() != 0, ready[0].Revents == 0 && !time.Now().Before(end):
			say(out, "\n")
			return door.Answer{Cancelled: true}, true
		case ready[2].Revents != 0:
			s.bell.quiet()
		case ready[0].Revents != 0:
			line, ok := readLine(in)
			if !ok {
				say(out, "\n")
			}
			return door.Answer{Cancelled: !ok, Text: line}, true
		}
	}
}

// readLine reads one line from a terminal in canonical mode. End of file, also
// in the middle of a line, is no answer.
func readLine(fd int) (string, bool) {
	var b [maxAnswer]byte
	for {
		n, err := unix.Read(fd, b[:])
		if err == unix.EINTR {
			continue
		}
		if err != nil || n == 0 || b[n-1] != '\n' {
			return "", false
		}
		return string(b[:n-1]), true
	}
}
