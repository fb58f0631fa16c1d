//go:build linux

package linux

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"kpm/core"
	"kpm/core/port"
)

// Terminals makes and recognises pseudo terminals.
type Terminals struct{}

var _ port.Terminals = Terminals{}

// Majors of /proc/devices that never change (the kernel's devices.txt).
const (
	majorMemory   = 1   // null, zero, random
	majorPtyFirst = 136 // slaves of pseudo terminals
	majorPtyLast  = 143
)

// characterDevice returns what f is, if it is one. Nobody is asked: see IsTerminal.
func characterDevice(f *os.File) (st unix.Statx_t, is bool) {
	err := onDescriptor(f, func(fd int) error {
		return unix.Statx(fd, "", unix.AT_EMPTY_PATH|unix.AT_STATX_DONT_SYNC, unix.STATX_TYPE, &st)
	})
	return st, err == nil && st.Mode&unix.S_IFMT == unix.S_IFCHR
}

// Majors and minors of consoles and serial lines (the kernel's devices.txt).
const (
	majorConsole = 4
	firstSerial  = 64
)

// Name implements port.Terminals, by the device's number.
func (Terminals) Name(f *os.File) string {
	st, is := characterDevice(f)
	switch {
	case !is:
		return ""
	case st.Rdev_major >= majorPtyFirst && st.Rdev_major <= majorPtyLast:
		return "pts/" + strconv.Itoa(int(st.Rdev_minor)+int(st.Rdev_major-majorPtyFirst)<<20)
	case st.Rdev_major == majorConsole && st.Rdev_minor < firstSerial:
		return "tty" + strconv.Itoa(int(st.Rdev_minor))
	case st.Rdev_major == majorConsole:
		return "ttyS" + strconv.Itoa(int(st.Rdev_minor-firstSerial))
	}
	return ""
}

// IsTerminal reports whether f is a terminal, by its device number.
//
// Attack: a user hands us a character device of their own making (CUSE) whose
// driver never answers an ioctl, or a FUSE file whose server never answers
// stat. Nothing here asks a driver or waits for a server.
func (Terminals) IsTerminal(f *os.File) bool {
	st, is := characterDevice(f)
	switch {
	case !is:
		return false
	case st.Rdev_major == majorMemory:
		return false
	case st.Rdev_major >= majorPtyFirst && st.Rdev_major <= majorPtyLast:
		return true
	}
	drivers, err := os.ReadFile("/proc/tty/drivers")
	return err == nil && driverOwns(string(drivers), st.Rdev_major, st.Rdev_minor)
}

// driverOwns reports whether a line of /proc/tty/drivers covers the device:
// name, node, major, minor or range of minors, type.
func driverOwns(drivers string, major, minor uint32) bool {
	for line := range strings.Lines(drivers) {
		fields := strings.Fields(line)
		if len(fields) < 4 || fields[2] != strconv.FormatUint(uint64(major), 10) {
			continue
		}
		first, last, ranged := strings.Cut(fields[3], "-")
		if !ranged {
			last = first
		}
		low, err1 := strconv.ParseUint(first, 10, 32)
		high, err2 := strconv.ParseUint(last, 10, 32)
		if err1 == nil && err2 == nil && uint64(minor) >= low && uint64(minor) <= high {
			return true
		}
	}
	return false
}

// Size of a terminal whose caller did not say.
const defaultRows, defaultColumns = 24, 80

// terminal is a pseudo terminal, both ends of it, and the caller's end of the
// connection to the helper that watches the program on it.
type terminal struct{ master, slave, control *os.File }

// Open implements port.Terminals. The slave keeps the group that the machine
// gives to terminals, which write(1) and wall(1) rely on.
func (Terminals) Open(owner core.Identity) (port.Terminal, error) {
	uid, err := parseKernelID(string(owner.Account.User))
	if err != nil {
		return nil, fmt.Errorf("terminal: owner: %w", err)
	}
	m, err := openMaster()
	if err != nil {
		return nil, fmt.Errorf("terminal: %w", err)
	}
	s, err := openSlave(m, int(uid))
	if err != nil {
		unix.Close(m)
		return nil, fmt.Errorf("terminal: %w", err)
	}
	return &terminal{master: os.NewFile(uintptr(m), "terminal master"), slave: os.NewFile(uintptr(s), "terminal")}, nil
}

// slaveOf returns the end of t that a program gets.
func slaveOf(t port.Terminal) (*os.File, error) {
	own, ok := t.(*terminal)
	if !ok || own.slave == nil {
		return nil, fmt.Errorf("terminal: %T is none of this system's that is open: %w", t, os.ErrClosed)
	}
	return own.slave, nil
}

// attach makes t the controlling terminal of a program: it returns the
// program's end and the helper's end of a connection to whoever gets the other.
func attach(t port.Terminal) (slave, control *os.File, err error) {
	if slave, err = slaveOf(t); err != nil {
		return nil, nil, err
	}
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("terminal: connection to its helper: %w", err)
	}
	own := t.(*terminal)
	if own.control != nil {
		own.control.Close() // of a launch that did not come about
	}
	own.control = os.NewFile(uintptr(pair[0]), "terminal control")
	return slave, os.NewFile(uintptr(pair[1]), "helper's end"), nil
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

func openMaster() (int, error) {
	const flags = unix.O_RDWR | unix.O_NOCTTY | unix.O_CLOEXEC
	fd, err := unix.Open("/dev/ptmx", flags, 0)
	if errors.Is(err, unix.ENOENT) {
		fd, err = unix.Open("/dev/pts/ptmx", flags, 0)
	}
	if err != nil {
		return -1, fmt.Errorf("open /dev/ptmx: %w", err)
	}
	return fd, nil
}

// openSlave opens and outfits the other end of master.
func openSlave(master, uid int) (int, error) {
	if err := unix.IoctlSetPointerInt(master, unix.TIOCSPTLCK, 0); err != nil {
		return -1, fmt.Errorf("unlock: %w", err)
	}
	// By the master, not by a path below /dev/pts: that may be another instance.
	fd, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(master), unix.TIOCGPTPEER,
		unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC)
	if errno != 0 {
		return -1, fmt.Errorf("open the slave: %w", errno)
	}
	slave := int(fd)
	if err := outfit(slave, uid); err != nil {
		unix.Close(slave)
		return -1, err
	}
	return slave, nil
}

func outfit(slave, uid int) error {
	var st unix.Stat_t
	if err := unix.Fstat(slave, &st); err != nil {
		return fmt.Errorf("stat the slave: %w", err)
	}
	mode := uint32(0o620)
	if st.Gid == 0 {
		mode = 0o600 // this machine has no group for terminals
	}
	if err := unix.Fchown(slave, uid, -1); err != nil {
		return fmt.Errorf("give the slave to user %d: %w", uid, err)
	}
	if err := unix.Fchmod(slave, mode); err != nil {
		return fmt.Errorf("set the slave's mode: %w", err)
	}
	// Erase whole characters: people type UTF-8.
	settings, err := unix.IoctlGetTermios(slave, unix.TCGETS)
	if err != nil {
		return fmt.Errorf("read the settings: %w", err)
	}
	settings.Iflag |= unix.IUTF8
	if err := unix.IoctlSetTermios(slave, unix.TCSETS, settings); err != nil {
		return fmt.Errorf("change the settings: %w", err)
	}
	return nil
}
