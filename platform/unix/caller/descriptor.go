//go:build linux || darwin

package caller

import "golang.org/x/sys/unix"

// descriptor writes to a descriptor that this process did not open.
type descriptor int

// Write implements io.Writer.
func (d descriptor) Write(p []byte) (int, error) {
	if err := writeAll(int(d), p); err != nil {
		return 0, err
	}
	return len(p), nil
}

// writeAll writes all of b to a descriptor that may be shared, and may have
// been made non-blocking by whoever it is shared with.
func writeAll(fd int, b []byte) error {
	for len(b) > 0 {
		n, err := unix.Write(fd, b)
		switch err {
		case nil:
			b = b[n:]
		case unix.EINTR:
		case unix.EAGAIN:
			poll(-1, unix.PollFd{Fd: int32(fd), Events: unix.POLLOUT})
		default:
			return err
		}
	}
	return nil
}

func isTerminal(fd int) bool {
	_, err := unix.IoctlGetTermios(fd, getMode)
	return err == nil
}

func isPipe(fd int) bool {
	var st unix.Stat_t
	err := unix.Fstat(fd, &st)
	return err == nil && (st.Mode&unix.S_IFMT == unix.S_IFIFO || st.Mode&unix.S_IFMT == unix.S_IFSOCK)
}
