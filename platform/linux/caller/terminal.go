//go:build linux

package caller

import (
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// way is how keys get from the caller's terminal to the command's.
type way int

const (
	// none: there is no terminal to read.
	none way = iota
	// direct: standard input is our controlling terminal. It is raw while we
	// are in its foreground, and every byte goes through.
	direct
	// lines: the same in a pipeline, where the neighbour may be a pager that
	// wants the keys. Whole lines go through, and none while somebody else has
	// taken the terminal out of canonical mode. What the command asks without
	// echo is echoed: we cannot tell.
	lines
	// borrowed: standard input is something else, but the command takes its
	// own terminal out of canonical mode or stops the echo: it reads keys
	// from /dev/tty. While it does, as direct.
	borrowed
)

// lookAgain is how often, in milliseconds, a terminal is looked at that is not
// ours at the moment: a shell's "fg" tells nobody.
const lookAgain = 250

// terminal carries bytes between the caller's terminal and the master side of
// the command's.
type terminal struct {
	master  int
	in, out int
	way     way
	wake    wakePipe

	mu     sync.Mutex    // the fields below, and every change of in's settings
	before *unix.Termios // in's settings, while it is raw
	over   bool

	drained  chan struct{} // closed when the command's side has ended
	progress atomic.Uint64 // moves with every read and write of output
	writing  atomic.Bool
}

// newTerminal chooses the way by what 0 to 2 are.
func newTerminal(master int, wake wakePipe) *terminal {
	t := &terminal{master: master, in: -1, out: -1, wake: wake, drained: make(chan struct{})}
	for _, fd := range []int{unix.Stdin, unix.Stderr, unix.Stdout} {
		if isTerminal(fd) {
			t.out = fd
		}
	}
	// A descriptor of our own: not to block is then nobody else's affair.
	own, err := unix.Open("/dev/tty", unix.O_RDWR|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	_, notControlling := unix.IoctlGetInt(unix.Stdin, unix.TIOCGPGRP)
	switch {
	case !isTerminal(unix.Stdin):
		if err == nil {
			t.in, t.way = own, borrowed
		}
	case err != nil || notControlling != nil:
		t.in, t.way = unix.Stdin, lines
	case isPipe(unix.Stdout) || isPipe(unix.Stderr):
		t.in, t.way = own, lines
	default:
		t.in, t.way = own, direct
	}
	if t.out == unix.Stdin && t.in == own {
		t.out = own // standard input may be open for reading only
	}
	if t.way == lines {
		// The caller's terminal echoes and begins new lines already.
		if settings, err := unix.IoctlGetTermios(master, unix.TCGETS); err == nil {
			settings.Lflag &^= unix.ECHO
			settings.Oflag &^= unix.OPOST
			unix.IoctlSetTermios(master, unix.TCSETS, settings)
		}
	}
	t.resize()
	return t
}

// carry starts the two goroutines that copy. Output ends with the command;
// input ends with the process.
func (t *terminal) carry() {
	if t.way == direct {
		t.ours() // raw before the first key
	}
	go t.output()
	if t.way != none {
		go t.input()
	}
}

// output copies until the last descriptor of the command's side is closed.
func (t *terminal) output() {
	defer close(t.drained)
	buf := make([]byte, 32<<10)
	for {
		n, err := unix.Read(t.master, buf)
		if err == unix.EINTR {
			continue
		}
		if err != nil || n == 0 {
			return
		}
		t.progress.Add(1)
		t.writing.Store(true)
		if t.out >= 0 && writeAll(t.out, buf[:n]) != nil {
			hungUp()
		}
		t.writing.Store(false)
		t.progress.Add(1)
		if t.way == borrowed && t.wanted() != t.isRaw() {
			t.wake.wake()
		}
	}
}

// silence is how long nothing may come after the command's end before what
// still holds its terminal open, a daemon most likely, is left alone.
const silence = 250 * time.Millisecond

// drain waits until all output of a command that has ended was written.
func (t *terminal) drain() {
	if t == nil {
		return
	}
	for last := t.progress.Load(); ; {
		select {
		case <-t.drained:
			return
		case <-time.After(silence):
			now := t.progress.Load()
			if now == last && !t.writing.Load() {
				return
			}
			last = now
		}
	}
}

// input copies keys for as long as they are the command's.
func (t *terminal) input() {
	buf := make([]byte, 4096)
	for {
		timeout, wanted := lookAgain, int16(0)
		if t.ours() {
			timeout, wanted = -1, unix.POLLIN
		}
		ready := poll(timeout, unix.PollFd{Fd: int32(t.in), Events: wanted}, t.wake.pollable())
		t.wake.drain()
		switch {
		case ready[0].Revents&(unix.POLLHUP|unix.POLLERR) != 0:
			hungUp()
		case ready[0].Revents == 0 || !t.ours():
			continue
		}
		n, err := unix.Read(t.in, buf)
		switch {
		case err == unix.EINTR || err == unix.EAGAIN:
			continue
		case err != nil:
			return
		}
		if !t.deliver(buf[:n], n < len(buf)) {
			return
		}
	}
}

// deliver writes keys to the command. What canonical mode gave us without a
// line's end was ended by the end-of-file key, which is passed on.
func (t *terminal) deliver(keys []byte, whole bool) bool {
	if !t.isRaw() && whole && (len(keys) == 0 || keys[len(keys)-1] != '\n') {
		if settings, err := unix.IoctlGetTermios(t.master, unix.TCGETS); err == nil {
			keys = append(keys, settings.Cc[unix.VEOF])
		}
	}
	return writeAll(t.master, keys) == nil
}

// resize gives the command's terminal the size of the caller's.
func (t *terminal) resize() {
	if t == nil {
		return
	}
	for _, fd := range []int{t.out, t.in} {
		if size, err := unix.IoctlGetWinsize(fd, unix.TIOCGWINSZ); err == nil && size.Row > 0 && size.Col > 0 {
			unix.IoctlSetWinsize(t.master, unix.TIOCSWINSZ, size)
			return
		}
	}
}

// hungUp ends keepersudo when the caller's terminal is gone. The service sees
// the caller go and ends the command.
func hungUp() { os.Exit(exitSignal + int(unix.SIGHUP)) }
