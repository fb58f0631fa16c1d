//go:build darwin

package darwin

import (
	"errors"
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"

	"kpm/core"
	"kpm/core/port"
	"kpm/platform/darwin/file"
)

// Terminals makes and recognises pseudo terminals.
type Terminals struct{}

var _ port.Terminals = Terminals{}

// IsTerminal reports whether f is a terminal.
//
// Attack: a user hands us a file of their own file system in user space, whose
// server never answers. What is not on devfs is not asked anything.
func (Terminals) IsTerminal(f *os.File) bool {
	return onDescriptor(f, func(fd int) error {
		path, err := file.PathOf(fd)
		if err != nil {
			return err
		}
		mounts, err := file.AllMounts()
		if err != nil {
			return err
		}
		if !mounts.Of(path).Devices() {
			return unix.ENOTTY
		}
		_, err = unix.IoctlGetTermios(fd, unix.TIOCGETA)
		return err
	}) == nil
}

// Size of a terminal whose caller did not say.
const defaultRows, defaultColumns = 24, 80

// terminal is a pseudo terminal, both ends of it, and the caller's end of the
// connection to the helper that watches the program on it.
type terminal struct{ master, slave, control *os.File }

// Open implements port.Terminals. The slave keeps the group that grantpt(3) gives
// to terminals, which write(1) relies on.
func (Terminals) Open(owner core.Identity) (port.Terminal, error) {
	uid, err := parseID(string(owner.Account.User))
	if err != nil {
		return nil, fmt.Errorf("terminal: owner: %w", err)
	}
	m, err := file.OpenAt(unix.AT_FDCWD, "/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, fmt.Errorf("terminal: open /dev/ptmx: %w", err)
	}
	s, err := openSlave(m, int(uid))
	if err != nil {
		unix.Close(m)
		return nil, fmt.Errorf("terminal: %w", err)
	}
	return &terminal{master: os.NewFile(uintptr(m), "terminal master"), slave: os.NewFile(uintptr(s), "terminal")}, nil
}

// openSlave opens and outfits the other end of master. Its name is asked of the
// master: no directory is looked into that anybody but the kernel writes.
func openSlave(master, uid int) (int, error) {
	if err := unix.IoctlSetInt(master, unix.TIOCPTYGRANT, 0); err != nil {
		return -1, fmt.Errorf("grant: %w", err)
	}
	if err := unix.IoctlSetInt(master, unix.TIOCPTYUNLK, 0); err != nil {
		return -1, fmt.Errorf("unlock: %w", err)
	}
	var name [128]byte // the size in TIOCPTYGNAME (sys/ttycom.h)
	//nolint:staticcheck // SA1019: x/sys has no wrapper of TIOCPTYGNAME, whose argument is a buffer
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(master), unix.TIOCPTYGNAME, uintptr(unsafe.Pointer(&name[0]))); errno != 0 {
		return -1, fmt.Errorf("name of the slave: %w", errno)
	}
	slave, err := file.OpenAt(unix.AT_FDCWD, unix.ByteSliceToString(name[:]), unix.O_RDWR|unix.O_NOCTTY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return -1, fmt.Errorf("open the slave: %w", err)
	}
	if err := outfit(slave, uid); err != nil {
		unix.Close(slave)
		return -1, err
	}
	return slave, nil
}

func outfit(slave, uid int) error {
	if err := unix.Fchown(slave, uid, -1); err != nil {
		return fmt.Errorf("give the slave to user %d: %w", uid, err)
	}
	if err := unix.Fchmod(slave, 0o620); err != nil {
		return fmt.Errorf("set the slave's mode: %w", err)
	}
	// Erase whole characters: people type UTF-8.
	settings, err := unix.IoctlGetTermios(slave, unix.TIOCGETA)
	if err != nil {
		return fmt.Errorf("read the settings: %w", err)
	}
	settings.Iflag |= unix.IUTF8
	if err := unix.IoctlSetTermios(slave, unix.TIOCSETA, settings); err != nil {
		return fmt.Errorf("change the settings: %w", err)
	}
	return nil
}

// slaveOf returns the end of t that a program gets.
func slaveOf(t port.Terminal) (*os.File, error) {
	own, ok := t.(*terminal)
	if !ok || own.slave == nil {
		return nil, fmt.Errorf("terminal: %T is none of this system's that is open: %w", t, os.ErrClosed)
	}
	return own.slave, nil
}

// attach makes t the controlling terminal of a program: it returns the program's
// end and the helper's end of a connection to whoever gets the other.
func attach(t port.Terminal) (slave, control *os.File, err error) {
	if slave, err = slaveOf(t); err != nil {
		return nil, nil, err
	}
	ours, theirs, err := pair()
	if err != nil {
		return nil, nil, fmt.Errorf("terminal: connection to its helper: %w", err)
	}
	unix.SetNonblock(ours, false) // it is the caller's program that reads from it
	own := t.(*terminal)
	if own.control != nil {
		own.control.Close() // of a launch that did not come about
	}
	own.control = os.NewFile(uintptr(ours), "terminal control")
	return slave, os.NewFile(uintptr(theirs), "helper's end"), nil
}

// Resize implements port.Terminal.
func (t *terminal) Resize(rows, columns uint16) error {
	if t.slave == nil {
		return fmt.Errorf("terminal: resize: whoever has the master sets the size: %w", errors.ErrUnsupported)
	}
	if rows == 0 || columns == 0 {
		rows, columns = defaultRows, defaultColumns
	}
	return onDescriptor(t.slave, func(fd int) error {
		if err := unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: rows, Col: columns}); err != nil {
			return fmt.Errorf("terminal: set the size: %w", err)
		}
		return nil
	})
}

// HandOver implements port.Terminal: the caller gets the master and, of a
// controlling terminal, the connection to the helper that watches the program.
func (t *terminal) HandOver(send func(files ...*os.File) error) error {
	if t.master == nil {
		return fmt.Errorf("terminal: hand over: %w", os.ErrClosed)
	}
	files := []*os.File{t.master}
	if t.control != nil {
		files = append(files, t.control)
	}
	return errors.Join(send(files...), t.Close())
}

// Close implements port.Terminal.
func (t *terminal) Close() error {
	if t.master == nil {
		return nil
	}
	err := errors.Join(t.slave.Close(), t.master.Close())
	if t.control != nil {
		err = errors.Join(err, t.control.Close())
	}
	*t = terminal{}
	return err
}
