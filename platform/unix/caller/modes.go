//go:build linux || darwin

package caller

import "golang.org/x/sys/unix"

// ours reports whether what is typed now is for the command, and sees to it
// that the terminal is raw if it ought to be.
func (t *terminal) ours() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.over || !t.foreground() || t.way == borrowed && !t.asked {
		return false
	}
	if t.way == lines {
		settings, err := unix.IoctlGetTermios(t.in, getMode)
		if err != nil || settings.Lflag&unix.ICANON == 0 || t.turn.taken() {
			return false
		}
	} else if !t.makeRaw() {
		return false
	}
	t.ask(askForeground) // it may be there already
	return true
}

// foreground reports whether the terminal's shell means us by what is typed.
func (t *terminal) foreground() bool {
	group, err := unix.IoctlGetInt(t.in, unix.TIOCGPGRP)
	if err == nil {
		t.front.Store(group == unix.Getpgrp())
	}
	// Nobody's shell controls a terminal that is not our session's.
	return err != nil && t.way == lines || err == nil && group == unix.Getpgrp()
}

func (t *terminal) isRaw() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.before != nil
}

// makeRaw reports whether the terminal is raw by our doing. t.mu is held.
func (t *terminal) makeRaw() bool {
	if t.before != nil {
		return true
	}
	if !t.turn.take() {
		return false
	}
	before, err := unix.IoctlGetTermios(t.in, getMode)
	if err == nil {
		err = unix.IoctlSetTermios(t.in, setMode, raw(*before))
	}
	if err != nil {
		t.turn.give()
		return false
	}
	t.before = before
	return true
}

// raw returns the settings with which every byte passes as it is.
func raw(s unix.Termios) *unix.Termios {
	s.Iflag &^= unix.IGNBRK | unix.BRKINT | unix.PARMRK | unix.ISTRIP | unix.INLCR | unix.IGNCR | unix.ICRNL | unix.IXON
	s.Oflag &^= unix.OPOST
	s.Lflag &^= unix.ECHO | unix.ECHONL | unix.ICANON | unix.ISIG | unix.IEXTEN
	s.Cflag = s.Cflag&^(unix.CSIZE|unix.PARENB) | unix.CS8
	s.Cc[unix.VMIN], s.Cc[unix.VTIME] = 1, 0
	return &s
}

// restore undoes makeRaw, unless the terminal is by now somebody else's: to
// change it then would stop us. t.mu is held.
func (t *terminal) restore() {
	if t.before == nil {
		return
	}
	if t.foreground() {
		unix.IoctlSetTermios(t.in, setMode, t.before)
	}
	t.before = nil
	t.turn.give()
}

// lend gives the terminal back until goOn.
func (t *terminal) lend() {
	t.mu.Lock()
	t.restore()
	t.mu.Unlock()
}

// giveBack gives the terminal back for good.
func (t *terminal) giveBack() {
	t.mu.Lock()
	t.over = true
	t.restore()
	t.mu.Unlock()
}
