//go:build windows

package caller

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"path/filepath"
	"time"
	"unsafe"

	"golang.org/x/sys/windows"

	port "kpm/core/port/caller"
	"kpm/platform/windows/pipe"
)

// connection implements port.Service with a named pipe, on which bytes travel in
// pieces that name handles (package pipe).
type connection struct {
	pipe    *pipe.Conn
	rest    int      // bytes of the piece that was begun
	handles []uint64 // received, not taken yet
}

var _ port.Service = (*connection)(nil)

// connectTime is how long keepersudo waits while others connect.
const connectTime = 10 * time.Second

// Connect implements port.Service. Whoever listens is checked by package pipe: it
// must be administrators' pipe, whatever the root's files say.
func (c *connection) Connect(root string) error {
	ctx, cancel := context.WithTimeout(context.Background(), connectTime)
	defer cancel()
	door := filepath.Join(root, "run", "door.sock")
	conn, err := pipe.Dial(ctx, door)
	switch {
	case err == nil:
		if c.pipe != nil { // its service has gone
			c.pipe.Close()
		}
		c.pipe, c.rest, c.handles = conn, 0, nil
		return nil
	case errors.Is(err, fs.ErrNotExist):
		return errors.New("the service does not run in " + root + "; start it (sc.exe start KeeperPrivilegeManager), or name another root with --root")
	case errors.Is(err, pipe.ErrImpostor), errors.Is(err, pipe.ErrAddress):
		return errors.New(door + " does not lead to the service (" + err.Error() + "); nothing was asked. Tell whoever runs this machine")
	case errors.Is(err, context.DeadlineExceeded):
		return errors.New("the service is busy; try again in a moment")
	case errors.Is(err, fs.ErrPermission):
		return errors.New("you may not ask the service (" + err.Error() + "); programs in a sandbox cannot")
	}
	return errors.New("the service cannot be reached: " + err.Error())
}

// Read implements port.Service.
func (c *connection) Read(p []byte) (int, error) {
	if c.rest == 0 {
		piece, err := pipe.ReadPiece(c.pipe)
		if err != nil {
			return 0, err
		}
		c.rest = piece.Size
		c.handles = append(c.handles, piece.Handles...)
	}
	n, err := c.pipe.Read(p[:min(len(p), c.rest)])
	c.rest -= n
	if err == io.EOF && c.rest > 0 {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// Send implements port.Service.
func (c *connection) Send(frame []byte, handles ...uintptr) error {
	var numbers []uint64
	for _, handle := range handles {
		numbers = append(numbers, uint64(handle))
	}
	_, err := c.pipe.Write(pipe.AppendPiece(nil, frame, numbers...))
	return err
}

// take returns the handles that came with the last frame.
func (c *connection) take() []uint64 {
	handles := c.handles
	c.handles = nil
	return handles
}

// speaks reports whether the service has said something that is not read yet, or
// has gone (learn.microsoft.com, "PeekNamedPipe").
func (c *connection) speaks() bool {
	var waiting uint32
	err := c.pipe.Control(func(handle windows.Handle) error {
		proc := windows.NewLazySystemDLL("kernel32.dll").NewProc("PeekNamedPipe")
		if ok, _, err := proc.Call(uintptr(handle), 0, 0, 0, uintptr(unsafe.Pointer(&waiting)), 0); ok == 0 {
			return err
		}
		return nil
	})
	return err != nil || waiting > 0
}
