//go:build darwin

package darwin

import (
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

// Name implements port.Terminals.
func (Terminals) Name(*os.File) string { return "" }

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
