//go:build linux

package main

import "golang.org/x/sys/unix"

// bell is a pipe that wakes whoever polls its reading end: something changed,
// look again. It lives as long as the process.
type bell [2]int

func newBell() bell {
	b := bell{-1, -1} // which poll ignores
	unix.Pipe2(b[:], unix.O_CLOEXEC|unix.O_NONBLOCK)
	return b
}

func (b bell) ring() { unix.Write(b[1], []byte{0}) }

// quiet empties the pipe.
func (b bell) quiet() {
	var buf [64]byte
	unix.Read(b[0], buf[:])
}

func (b bell) pollable() unix.PollFd {
	return unix.PollFd{Fd: int32(b[0]), Events: unix.POLLIN}
}
