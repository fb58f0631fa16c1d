//go:build windows

package pipe

import (
	"errors"
	"net"
	"os"
	"time"

	"golang.org/x/sys/windows"
)

// Conn is one end of a connection. Reads, writes and deadlines are the runtime's:
// the pipe was opened for overlapped input and output.
type Conn struct {
	file *os.File
	name address
}

var _ net.Conn = (*Conn)(nil)

// address is a pipe's name.
type address string

// Network implements net.Addr.
func (address) Network() string { return "pipe" }

// String implements net.Addr.
func (a address) String() string { return string(a) }

func newConn(handle windows.Handle, name string) *Conn {
	return &Conn{os.NewFile(uintptr(handle), name), address(name)}
}

// Control calls use with the pipe's handle, which stays open meanwhile.
func (c *Conn) Control(use func(pipe windows.Handle) error) error {
	raw, err := c.file.SyscallConn()
	if err != nil {
		return c.worded("control", err)
	}
	controlErr := raw.Control(func(fd uintptr) { err = use(windows.Handle(fd)) })
	if controlErr != nil {
		return c.worded("control", controlErr)
	}
	return err
}

// Read implements net.Conn.
func (c *Conn) Read(p []byte) (int, error) {
	n, err := c.file.Read(p)
	return n, c.worded("read", err)
}

// Write implements net.Conn.
func (c *Conn) Write(p []byte) (int, error) {
	n, err := c.file.Write(p)
	return n, c.worded("write", err)
}

// worded is an error of a file as one of a connection: what serves connections
// looks for net.Error and net.ErrClosed.
func (c *Conn) worded(op string, err error) error {
	var path *os.PathError
	if !errors.As(err, &path) {
		return err // none, or io.EOF
	}
	cause := path.Err
	if errors.Is(cause, os.ErrClosed) {
		cause = net.ErrClosed
	}
	return &net.OpError{Op: op, Net: c.name.Network(), Addr: c.name, Err: cause}
}

// Close implements net.Conn. What was written can still be read at the other end.
func (c *Conn) Close() error { return c.worded("close", c.file.Close()) }

// LocalAddr implements net.Conn.
func (c *Conn) LocalAddr() net.Addr { return c.name }

// RemoteAddr implements net.Conn.
func (c *Conn) RemoteAddr() net.Addr { return c.name }

// SetDeadline implements net.Conn.
func (c *Conn) SetDeadline(t time.Time) error { return c.file.SetDeadline(t) }

// SetReadDeadline implements net.Conn.
func (c *Conn) SetReadDeadline(t time.Time) error { return c.file.SetReadDeadline(t) }

// SetWriteDeadline implements net.Conn.
func (c *Conn) SetWriteDeadline(t time.Time) error { return c.file.SetWriteDeadline(t) }
