//go:build darwin

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

// poll waits at most timeout milliseconds, for ever if it is negative, and
// returns what happened to each. poll(2) does not know terminals on macOS, and
// select(2) does: a descriptor that cannot be asked about is ready, so that whoever
// uses it hears why.
func poll(timeout int, fds ...unix.PollFd) []unix.PollFd {
	for {
		var read, write unix.FdSet
		highest := -1
		for _, fd := range fds {
			if fd.Fd < 0 || fd.Events == 0 {
				continue
			}
			highest = max(highest, int(fd.Fd))
			if fd.Events&unix.POLLOUT != 0 {
				write.Set(int(fd.Fd))
			} else {
				read.Set(int(fd.Fd))
			}
		}
		var limit *unix.Timeval
		if timeout >= 0 {
			t := unix.NsecToTimeval(int64(timeout) * 1_000_000)
			limit = &t
		}
		_, err := unix.Select(highest+1, &read, &write, nil, limit)
		if err == unix.EINTR {
			continue
		}
		for i, fd := range fds {
			if fd.Fd >= 0 && fd.Events != 0 && (err != nil || read.IsSet(int(fd.Fd)) || write.IsSet(int(fd.Fd))) {
				fds[i].Revents = fd.Events
			}
		}
		return fds
	}
}

func isTerminal(fd int) bool {
	_, err := unix.IoctlGetTermios(fd, unix.TIOCGETA)
	return err == nil
}

func isPipe(fd int) bool {
	var st unix.Stat_t
	err := unix.Fstat(fd, &st)
	return err == nil && (st.Mode&unix.S_IFMT == unix.S_IFIFO || st.Mode&unix.S_IFMT == unix.S_IFSOCK)
}
