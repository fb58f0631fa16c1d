//go:build unix

package darwin

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"kpm/core/port"
)

// Size of a terminal whose caller did not say.
const defaultRows, defaultColumns = 24, 80

// terminal is a pseudo terminal, both ends of it, and the caller's end of the
// connection to the helper that watches the program on it.
type terminal struct{ master, slave, control *os.File }

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
