//go:build unix

package darwin

import (
	"fmt"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"kpm/core"
	"kpm/platform/darwin/file"
	"kpm/platform/darwin/tool"
)

// onDescriptor is that of package file.
func onDescriptor(f syscall.Conn, use func(fd int) error) error { return file.OnDescriptor(f, use) }

// parseID reads a decimal user or group id (tool.Number).
func parseID(s string) (uint32, error) {
	id, err := strconv.ParseUint(s, 10, 32)
	if err != nil || !tool.Number(s) {
		return 0, fmt.Errorf("%q is not an id between 0 and 4294967294: %w", s, core.ErrNoAccount)
	}
	return uint32(id), nil
}

// pair makes two connected sockets, close-on-exec; the first does not block.
func pair() (ours, theirs int, err error) {
	// macOS has no flag for it. A process that is forked at this moment has no
	// descriptors but those that are named to it (launch.go, child's spawn), or
	// waits for this lock.
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		return -1, -1, fmt.Errorf("socketpair: %w", err)
	}
	unix.CloseOnExec(fds[0])
	unix.CloseOnExec(fds[1])
	if err := unix.SetNonblock(fds[0], true); err != nil {
		unix.Close(fds[0])
		unix.Close(fds[1])
		return -1, -1, fmt.Errorf("socketpair: %w", err)
	}
	return fds[0], fds[1], nil
}
