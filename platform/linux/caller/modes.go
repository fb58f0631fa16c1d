//go:build linux

package caller

import "golang.org/x/sys/unix"

// ours reports whether what is typed now is for the command, and sees to it
// that the terminal is raw if it ought to be.
func (t *terminal) ours() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.over || !t.foreground() {
		return false
	}
	switch t.way {
	case direct:
		return t.makeRaw()
	case lines:
		settings, err := unix.IoctlGetTermios(t.in, unix.TCGETS)
		return err == nil && settings.Lflag&unix.ICANON != 0
	case borrowed:
		if t.wanted() {
			return t.makeRaw()
		}
		t.restore()
	}
	return false
}

// foreground reports whether the terminal's shell means us by what is typed.
// Nobody's shell controls a terminal that is not our session's.
func (t *terminal) foreground() bool {
	group, err := unix.IoctlGetInt(t.in, unix.TIOCGPGRP)
	return err != nil && t.way == lines || err == nil && group == unix.Getpgrp()
}

// wanted reports whether the command has taken its terminal to read keys.
func (t *terminal) wanted() bool {
	settings, err := unix.IoctlGetTermios(t.master, unix.TCGETS)
	return err == nil && settings.Lflag&(unix.ICANON|unix.ECHO) != unix.ICANON|unix.ECHO
}

func (t *terminal) isRaw() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.before != nil
}

// makeRaw reports whether the terminal is raw by our doing. One that somebody
// else made so is not borrowed from them. t.mu is held.
func (t *terminal) makeRaw() bool {
	if t.before != nil {
		return true
	}
	before, err := unix.IoctlGetTermios(t.in, unix.TCGETS)
	if err != nil || t.way == borrowed && before.Lflag&unix.ICANON == 0 {
		return false
	}
	if unix.IoctlSetTermios(t.in, unix.TCSETS, raw(*before)) != nil {
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
	if t.before != nil && t.foreground() {
		unix.IoctlSetTermios(t.in, unix.TCSETS, t.before)
	}
	t.before = nil
}

// lend gives the terminal back until takeAgain.
func (t *terminal) lend() {
	if t != nil {
		t.mu.Lock()
		t.restore()
		t.mu.Unlock()
	}
}

// giveBack gives the terminal back for good.
func (t *terminal) giveBack() {
	if t != nil {
		t.mu.Lock()
		t.over = true
		t.restore()
		t.mu.Unlock()
	}
}

// takeAgain makes the terminal raw again after a shell that stopped us has set
// it as it likes.
func (t *terminal) takeAgain() {
	if t != nil {
		t.mu.Lock()
		if t.before != nil && t.foreground() {
			unix.IoctlSetTermios(t.in, unix.TCSETS, raw(*t.before))
		}
		t.mu.Unlock()
		t.wake.wake()
	}
}
