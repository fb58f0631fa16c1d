//go:build unix

package handover

import (
	"errors"
	"fmt"
	"io"

	"golang.org/x/sys/unix"

	"kpm/core/port"
)

// conn is a descriptor that is read by system calls that block: the process has
// one thing to do at a time, and its runtime may poll nothing.
type conn struct{ fd int }

var _ port.Confinement = conn{}

var errControl = errors.New("more came along than a file")

// Receive implements port.Confinement.
func (c conn) Receive(p []byte) (int, port.HandedFile, error) {
	var control [64]byte
	for {
		n, controlled, _, _, err := unix.Recvmsg(c.fd, p, control[:], 0) // nothing is executed here that could inherit it
		switch {
		case err == unix.EINTR:
			continue
		case err != nil:
			return 0, nil, fmt.Errorf("receive: %w", err)
		case n == 0 && len(p) > 0:
			return 0, nil, io.EOF
		case controlled == 0:
			return n, nil, nil
		}
		fd, err := handed(control[:controlled])
		if err != nil {
			return 0, nil, fmt.Errorf("receive: %w", err)
		}
		return n, file{fd}, nil
	}
}

// handed returns the one descriptor of a control message.
func handed(control []byte) (int, error) {
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil {
		return 0, err
	}
	if len(messages) != 1 {
		return 0, errControl
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil {
		return 0, err
	}
	if len(fds) != 1 {
		return 0, errControl
	}
	return fds[0], nil
}

// Write implements port.Confinement.
func (c conn) Write(p []byte) (written int, err error) {
	for written < len(p) {
		n, err := unix.Write(c.fd, p[written:])
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return written, fmt.Errorf("write: %w", err)
		}
		written += n
	}
	return written, nil
}

// file is a descriptor that came along.
type file struct{ fd int }

// ReadAt implements io.ReaderAt.
func (f file) ReadAt(p []byte, at int64) (read int, err error) {
	for read < len(p) {
		n, err := unix.Pread(f.fd, p[read:], at+int64(read))
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return read, fmt.Errorf("read: %w", err)
		}
		if n == 0 {
			return read, io.EOF
		}
		read += n
	}
	return read, nil
}

// Close implements io.Closer.
func (f file) Close() error { return unix.Close(f.fd) }
