//go:build linux || darwin

package caller

import (
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
	// borrowed: standard input is something else. The command begins in the
	// background of its terminal, and is stopped when it reads from /dev/tty or
	// sets it up. From then on, as direct.
	borrowed
)

// lookAgain is how often, in milliseconds, a terminal is looked at that is not
// ours at the moment: a shell's "fg" tells nobody.
const lookAgain = 250

// terminal carries bytes between one of the caller's terminals and the master
// side of the command's.
type terminal struct {
	master  int
	control int // to the helper that watches the command, -1 if there is none
	in, out int
	way     way
	wake    wakePipe
	stop    stopper
	turn    turn

	mu                   sync.Mutex    // the fields below, and every change of in's settings
	before               *unix.Termios // in's settings, while it is raw
	asked                bool          // the command has asked for what is borrowed
	told                 byte          // what its helper was asked last
	suspended, continued int           // how often the command was to be stopped, and to go on
	stopAsked            stopAsked
	over                 bool
	lost                 bool // the caller's terminal is gone, and the command goes on

	drained  chan struct{} // closed when the command's side has ended
	progress atomic.Uint64 // moves with every read and write of output
	writing  atomic.Bool
	front    atomic.Bool // we were in the foreground when that could last be seen
}

// stopAsked is when the helper was last asked to stop the command, and how often that was
// to go on by then.
type stopAsked struct {
	at        time.Time
	continued int
}

// newTerminal carries for the command's controlling terminal.
func (s screen) newTerminal(master, control int, wake wakePipe, stop stopper) *terminal {
	t := &terminal{master: master, control: control, out: s.numbered(0), wake: wake, stop: stop, turn: s.turn, drained: make(chan struct{})}
	t.front.Store(s.foreground())
	t.way, t.in = s.way()
	if !s.background {
		t.told = askForeground
	}
	if t.out < 0 || t.out == unix.Stdin && s.own >= 0 {
		t.out = s.own // standard input may be open for reading only
	}
	if t.way == lines {
		t.leaveSettings(unix.ECHO)
	}
	t.resize()
	return t
}

// newApart carries for another terminal of the command's.
func (s screen) newApart(number, master int, wake wakePipe) *terminal {
	t := &terminal{master: master, control: -1, in: -1, out: s.numbered(number), wake: wake, turn: turn{-1}, drained: make(chan struct{})}
	t.front.Store(s.foreground())
	if s.number[unix.Stdin] == number {
		t.in, t.way = unix.Stdin, lines
	}
	t.leaveSettings(unix.ECHO)
	t.resize()
	return t
}

// leaveSettings leaves to the caller's terminal what it does already: to echo,
// and to begin new lines.
func (t *terminal) leaveSettings(local modeFlags) {
	if settings, err := unix.IoctlGetTermios(t.master, getMode); err == nil {
		settings.Lflag &^= local
		settings.Oflag &^= unix.OPOST
		unix.IoctlSetTermios(t.master, setMode, settings)
	}
}

// carry starts the goroutines that copy. Output ends with the command; input
// ends with the process.
func (t *terminal) carry() {
	if t.way == direct {
		t.ours() // raw before the first key
	}
	go t.output()
	if t.way != none {
		go t.input()
	}
	if t.control >= 0 {
		go t.heed()
	}
}

// output copies until the last descriptor of the command's side is closed.
func (t *terminal) output() {
	defer close(t.drained)
	out := t.out
	buf := make([]byte, 32<<10)
	ready := newAwaited(t.master, noWake)
	defer ready.close()
	for {
		ready.wait(-1, unix.POLLIN)
		n, err := unix.Read(t.master, buf)
		if err == unix.EINTR {
			continue
		}
		if err != nil || n == 0 {
			return
		}
		t.progress.Add(1)
		t.writing.Store(true)
		if out >= 0 && writeAll(out, asWritten(out, buf[:n])) != nil {
			t.hungUp()
			out = -1
		}
		t.writing.Store(false)
		t.progress.Add(1)
	}
}

// silence is how long nothing may come after the command's end before what
// still holds its terminal open, a daemon most likely, is left alone; pause is
// the same for a command that was stopped.
const (
	silence = 250 * time.Millisecond
	pause   = 20 * time.Millisecond
)

// drain waits until all output of a command that has ended or stopped was
// written, or until nothing has come for a while.
func (t *terminal) drain(silence time.Duration) {
	for last := t.progress.Load(); ; {
		select {
		case <-t.drained:
			return
		case <-time.After(silence):
			now := t.progress.Load()
			// What lies there is output that this process, on a busy machine, has
			// not come to read.
			if now == last && !t.writing.Load() && !t.unread() {
				return
			}
			last = now
		}
	}
}

// unread reports whether there is output to read, or an end of it.
func (t *terminal) unread() bool {
	ready := poll(0, unix.PollFd{Fd: int32(t.master), Events: unix.POLLIN})
	return ready[0].Revents != 0
}

// input copies keys for as long as they are the command's.
func (t *terminal) input() {
	buf := make([]byte, 4096)
	ready := newAwaited(t.in, t.wake)
	defer ready.close()
	for {
		timeout, wanted := lookAgain, int16(0)
		if t.ours() {
			timeout, wanted = -1, unix.POLLIN
		}
		has := ready.wait(timeout, wanted)
		t.wake.drain()
		switch {
		case has&(unix.POLLHUP|unix.POLLERR) != 0:
			t.hungUp()
			return
		case has == 0 || !t.ours():
			continue
		}
		n, err := unix.Read(t.in, buf)
		switch {
		case err == unix.EINTR || err == unix.EAGAIN:
			continue
		case err != nil && !lostByError:
			return
		case err != nil || n == 0 && t.isRaw():
			t.hungUp()
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
		if settings, err := unix.IoctlGetTermios(t.master, getMode); err == nil {
			keys = append(keys, settings.Cc[unix.VEOF])
		}
	}
	return writeAll(t.master, keys) == nil
}

// heed follows what the command's helper says: which signal has stopped it.
func (t *terminal) heed() {
	ready := newAwaited(t.control, noWake)
	defer ready.close()
	for {
		var b [1]byte
		ready.wait(-1, unix.POLLIN)
		n, err := unix.Read(t.control, b[:])
		if err == unix.EINTR {
			continue
		}
		if err != nil || n == 0 {
			return
		}
		t.stopped(unix.Signal(b[0]))
	}
}

// suspend asks the helper to stop the command, and reports whether there is one
// to ask.
func (t *terminal) suspend() bool {
	if t.control < 0 {
		return false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.suspended++
	t.stopAsked = stopAsked{time.Now(), t.continued}
	_, err := unix.Write(t.control, []byte{askSuspend})
	return err == nil
}

// resize gives the command's terminal the size of the caller's.
func (t *terminal) resize() {
	for _, fd := range []int{t.out, t.in} {
		if size, err := unix.IoctlGetWinsize(fd, unix.TIOCGWINSZ); err == nil && size.Row > 0 && size.Col > 0 {
			unix.IoctlSetWinsize(t.master, unix.TIOCSWINSZ, size)
			return
		}
	}
}
