//go:build linux

package file

import (
	"fmt"
	"os"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// OnDescriptor calls use with f's descriptor and keeps f open meanwhile.
// Unlike f.Fd it leaves the file's blocking mode alone, which is shared with
// whoever else has the same open file.
func OnDescriptor(f syscall.Conn, use func(fd int) error) error {
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var result error
	if err := raw.Control(func(fd uintptr) { result = use(int(fd)) }); err != nil {
		return err
	}
	return result
}

// OpenAt opens close-on-exec and tries again when a signal interrupts it.
func OpenAt(dir int, name string, flags int, perm uint32) (int, error) {
	for {
		fd, err := unix.Openat(dir, name, flags|unix.O_CLOEXEC, perm)
		if err != unix.EINTR {
			return fd, err
		}
	}
}

// ProcFd names what fd refers to, for system calls that take a path.
func ProcFd(fd int) string { return "/proc/self/fd/" + strconv.Itoa(fd) }

// Reopen opens what fd refers to again, with flags, and leaves the result in
// blocking mode.
func Reopen(fd int, name string, flags int) (*os.File, error) {
	again, err := OpenAt(unix.AT_FDCWD, ProcFd(fd), flags, 0)
	if err != nil {
		return nil, fmt.Errorf("files: open %s: %w", name, err)
	}
	if err := unix.SetNonblock(again, false); err != nil {
		unix.Close(again)
		return nil, fmt.Errorf("files: open %s: %w", name, err)
	}
	return os.NewFile(uintptr(again), name), nil
}
