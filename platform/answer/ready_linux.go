package answer

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// escape is what the key of that name types.
const escape = 0x1b

// Ready returns what makes the terminal at standard input ready for one answer, whatever
// state it was left in, as keepersudo does; done gives it back as it was, without what
// was typed, unless it is somebody else's by now. It is nil where the service asks nobody
// at another terminal.
//
// Whoever stops this program meanwhile gets a shell, which may show what is typed once
// it goes on: Ctrl-Z is an ordinary character.
func Ready() func(secret bool) (done func(), err error) { return ready }

func ready(secret bool) (done func(), err error) {
	fd := int(os.Stdin.Fd())
	before, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return nil, fmt.Errorf("the terminal cannot be told to wait for an answer: %w", err)
	}
	now := *before
	now.Iflag |= unix.ICRNL
	now.Iflag &^= unix.IGNCR | unix.INLCR
	now.Oflag |= unix.OPOST | unix.ONLCR
	now.Lflag |= unix.ICANON | unix.ISIG | unix.ECHO | unix.ECHOE | unix.ECHOK | unix.IEXTEN
	now.Lflag &^= unix.NOFLSH
	now.Cc[unix.VEOL], now.Cc[unix.VSUSP] = escape, 0
	if secret {
		now.Lflag &^= unix.ECHO | unix.ECHOE | unix.ECHOK | unix.ECHONL
	}
	if err := unix.IoctlSetTermios(fd, unix.TCSETSF, &now); err != nil {
		return nil, fmt.Errorf("the terminal cannot be told to wait for an answer: %w", err)
	}
	return func() {
		if group, err := unix.IoctlGetInt(fd, unix.TIOCGPGRP); err != nil || group == unix.Getpgrp() {
			_ = unix.IoctlSetTermios(fd, unix.TCSETSF, before)
		}
	}, nil
}
