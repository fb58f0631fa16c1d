package caller

import "golang.org/x/sys/unix"

// awaited is a descriptor that a thread waits for, until there is something to read.
type awaited struct {
	fd   int
	wake wakePipe
}

// newAwaited waits for fd, and for wake unless that has no ends.
func newAwaited(fd int, wake wakePipe) *awaited { return &awaited{fd, wake} }

// wait waits for at most timeout milliseconds, without limit if that is negative, until
// the descriptor has something of wanted, which is POLLIN or nothing, or somebody wakes
// us, and returns what the descriptor has, as poll does. Where there is nothing else to
// wait for, whoever reads waits.
func (w *awaited) wait(timeout int, wanted int16) int16 {
	if timeout < 0 && w.wake[0] < 0 {
		return wanted
	}
	return poll(timeout, unix.PollFd{Fd: int32(w.fd), Events: wanted}, w.wake.pollable())[0].Revents
}

func (*awaited) close() {}
