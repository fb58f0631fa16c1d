//go:build linux || darwin

package caller

import "golang.org/x/sys/unix"

// wakePipe wakes whoever polls its reading end: something changed, look again.
// It lives as long as the process.
type wakePipe [2]int

func newWakePipe() wakePipe {
	ends, err := newPipe()
	if err != nil {
		return noWake
	}
	return ends
}

// noWake wakes nobody: poll ignores it.
var noWake = wakePipe{-1, -1}

func (p wakePipe) wake() { unix.Write(p[1], []byte{0}) }

// drain empties the pipe.
func (p wakePipe) drain() {
	var buf [64]byte
	unix.Read(p[0], buf[:])
}

func (p wakePipe) pollable() unix.PollFd {
	return unix.PollFd{Fd: int32(p[0]), Events: unix.POLLIN}
}
