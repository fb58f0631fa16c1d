//go:build linux

package main

import (
	"io"

	"golang.org/x/sys/unix"

	"kpm/core/door"
)

// lost is that the service went away before it answered.
var lost = &failure{exitRefused, "the service has closed the connection; whether the command ran is in its journal"}

// connection is the caller's end of the door.
type connection struct {
	fd    int
	files []int // received, not taken yet
}

// send sends one frame and, with its first byte, files.
func (c *connection) send(kind door.Type, body []byte, files ...int) error {
	frame := door.Append(nil, kind, body)
	var rights []byte
	if len(files) > 0 {
		rights = unix.UnixRights(files...)
	}
	for len(frame) > 0 {
		n, err := unix.SendmsgN(c.fd, frame, rights, nil, unix.MSG_NOSIGNAL)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return err
		}
		frame, rights = frame[n:], nil
	}
	return nil
}

// Read implements io.Reader and keeps the descriptors that come along.
func (c *connection) Read(p []byte) (int, error) {
	var oob [64]byte
	for {
		n, oobn, _, _, err := unix.Recvmsg(c.fd, p, oob[:], unix.MSG_CMSG_CLOEXEC)
		switch {
		case err == unix.EINTR:
			continue
		case err != nil:
			return 0, err
		case n == 0 && len(p) > 0:
			return 0, io.EOF
		}
		if oobn > 0 {
			c.keep(oob[:oobn])
		}
		return n, nil
	}
}

func (c *connection) keep(oob []byte) {
	messages, _ := unix.ParseSocketControlMessage(oob)
	for i := range messages {
		if files, err := unix.ParseUnixRights(&messages[i]); err == nil {
			c.files = append(c.files, files...)
		}
	}
}

// takeFile returns the descriptor that came with the last frame, or -1.
func (c *connection) takeFile() int {
	if len(c.files) == 0 {
		return -1
	}
	file := c.files[0]
	for _, surplus := range c.files[1:] {
		unix.Close(surplus)
	}
	c.files = nil
	return file
}

// writeAll writes all of b to a descriptor that may be shared, and may have
// been made non-blocking by whoever it is shared with.
func writeAll(fd int, b []byte) error {
	for len(b) > 0 {
		n, err := unix.Write(fd, b)
		switch err {
		case nil:
			b = b[n:]
		case unix.EINTR:
		case unix.EAGAIN:
			poll(-1, unix.PollFd{Fd: int32(fd), Events: unix.POLLOUT})
		default:
			return err
		}
	}
	return nil
}

// poll waits at most timeout milliseconds, for ever if it is negative, and
// returns what happened to each.
func poll(timeout int, fds ...unix.PollFd) []unix.PollFd {
	for {
		if _, err := unix.Poll(fds, timeout); err != unix.EINTR {
			return fds
		}
	}
}
