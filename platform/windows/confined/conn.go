//go:build windows

package confined

import (
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/windows"

	"kpm/core/port"
)

// Main lets serve work on this process's connection, its standard input, until
// the service closes it. It does not return.
func Main(serve func(port.Confinement) error) {
	own := pipe(windows.Stdin)
	// By now the runtime has loaded what it needs, and this call what reads and
	// writes: after it the process can open nothing any more.
	if _, err := own.Write([]byte{Ready}); err != nil {
		os.Exit(1)
	}
	if serve(conn{&frames{from: own, open: func(handle uint64) port.HandedFile { return file(handle) }}, own}) != nil {
		os.Exit(1)
	}
	os.Exit(0)
}

// conn is both directions of the connection.
type conn struct {
	*frames
	io.Writer
}

var _ port.Confinement = conn{}

// pipe is a handle that blocks: the process has one thing to do at a time.
type pipe windows.Handle

// Read implements io.Reader (learn.microsoft.com, "ReadFile").
func (p pipe) Read(b []byte) (int, error) {
	var n uint32
	err := windows.ReadFile(windows.Handle(p), b, &n, nil)
	switch {
	case err == windows.ERROR_BROKEN_PIPE || err == nil && n == 0 && len(b) > 0:
		return 0, io.EOF
	case err != nil:
		return 0, err
	}
	return int(n), nil
}

// Write implements io.Writer (learn.microsoft.com, "WriteFile").
func (p pipe) Write(b []byte) (written int, err error) {
	for written < len(b) {
		var n uint32
		if err := windows.WriteFile(windows.Handle(p), b[written:], &n, nil); err != nil {
			return written, fmt.Errorf("write: %w", err)
		}
		written += int(n)
	}
	return written, nil
}

// file is a handle that came along: it can be read from, and nothing else.
type file windows.Handle

// ReadAt implements io.ReaderAt (learn.microsoft.com, "ReadFile", "OVERLAPPED").
func (f file) ReadAt(p []byte, at int64) (read int, err error) {
	for read < len(p) {
		from := uint64(at) + uint64(read)
		where := windows.Overlapped{Offset: uint32(from), OffsetHigh: uint32(from >> 32)}
		var n uint32
		err := windows.ReadFile(windows.Handle(f), p[read:], &n, &where)
		switch {
		case err == windows.ERROR_HANDLE_EOF || err == nil && n == 0:
			return read, io.EOF
		case err != nil:
			return read, fmt.Errorf("read: %w", err)
		}
		read += int(n)
	}
	return read, nil
}

// Close implements io.Closer.
func (f file) Close() error { return windows.CloseHandle(windows.Handle(f)) }
