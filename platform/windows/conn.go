//go:build windows

package windows

import (
	"errors"
	"fmt"
	"io"
	"os"
	"unsafe"

	"golang.org/x/sys/windows"

	"kpm/core"
	"kpm/core/port"
	"kpm/platform/windows/pipe"
)

// doorConn is a caller. Bytes travel in pieces, of which each says which handles
// come with it (see package pipe); they are numbers of the caller's own handle
// table, in both directions, and only the service looks into that.
type doorConn struct {
	*pipeConn
	rest int // bytes of the piece that was begun
}

var _ port.DoorConn = (*doorConn)(nil)

// User implements port.DoorConn.
func (d *doorConn) User() (core.UserID, error) {
	c, err := d.client()
	if err != nil {
		return "", err
	}
	return c.holder.user, nil
}

// Peer implements port.DoorConn.
func (d *doorConn) Peer() (core.Peer, error) {
	c, err := d.client()
	if err != nil {
		return core.Peer{}, err
	}
	return c.peer(), nil
}

// ReadWithFiles implements port.DoorConn.
func (d *doorConn) ReadWithFiles(p []byte) (int, []*os.File, error) {
	var files []*os.File
	if d.rest == 0 {
		head, err := pipe.ReadPiece(d.pipeConn)
		if err != nil {
			return 0, nil, err
		}
		if files, err = d.take(head.Handles); err != nil {
			return 0, nil, err
		}
		d.rest = head.Size
	}
	n, err := d.pipeConn.Read(p[:min(len(p), d.rest)])
	d.rest -= n
	if err == io.EOF && d.rest > 0 {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		closeFiles(files)
		return 0, nil, err
	}
	return n, files, nil
}

// Read implements net.Conn. Handles that come with what is read are dropped.
func (d *doorConn) Read(p []byte) (int, error) {
	n, files, err := d.ReadWithFiles(p)
	closeFiles(files)
	return n, err
}

// Write implements net.Conn.
func (d *doorConn) Write(p []byte) (int, error) {
	if err := d.WriteWithFiles(p); err != nil {
		return 0, err
	}
	return len(p), nil
}

// WriteWithFiles implements port.DoorConn: the caller finds the files in its own
// handle table.
func (d *doorConn) WriteWithFiles(p []byte, files ...*os.File) error {
	var handles []uint64
	if len(files) > 0 {
		c, err := d.client()
		if err != nil {
			return err
		}
		for _, f := range files {
			err := c.use(func(process windows.Handle) error {
				handle, err := giveFile(process, f, false)
				handles = append(handles, handle)
				return err
			})
			if err != nil {
				return fmt.Errorf("hand over: %w", err) // what was given ends with the caller
			}
		}
	}
	_, err := d.pipeConn.Write(pipe.AppendPiece(nil, p, handles...))
	return err
}

// take duplicates handles out of the caller's table (learn.microsoft.com,
// "DuplicateHandle").
func (d *doorConn) take(handles []uint64) (files []*os.File, err error) {
	if len(handles) == 0 {
		return nil, nil
	}
	c, err := d.client()
	if err != nil {
		return nil, err
	}
	for _, handle := range handles {
		f, err := c.take(handle)
		if err != nil {
			closeFiles(files)
			return nil, fmt.Errorf("take handle %#x of process %s: %w", handle, c.id, err)
		}
		files = append(files, f)
	}
	return files, nil
}

// errHandle is wrapped for what a caller may not hand over.
var errHandle = errors.New("it is no file, directory, pipe or console")

// maxHandle is larger than every handle of a process (learn.microsoft.com,
// "Kernel objects": a table has at most 2^24 entries).
const maxHandle = 1 << 26

// take returns what the caller has under a number.
//
// Attack: a pseudo handle, which means the process or thread itself and not a
// file; an event, a section, a process, which the service would use as a file. And
// what was opened for overlapped input: the runtime would have the system report
// every operation on it, the caller's too, with addresses of the caller's choice
// (go.dev/issue/58870).
func (c *client) take(handle uint64) (*os.File, error) {
	if handle == 0 || handle >= maxHandle || handle%4 != 0 {
		return nil, errHandle
	}
	var copied windows.Handle
	err := c.use(func(process windows.Handle) error {
		return windows.DuplicateHandle(process, windows.Handle(handle), windows.CurrentProcess(), &copied, 0, false, windows.DUPLICATE_SAME_ACCESS)
	})
	if err != nil {
		return nil, err
	}
	if err := suitable(copied); err != nil {
		windows.CloseHandle(copied)
		return nil, err
	}
	return os.NewFile(uintptr(copied), "of the caller"), nil
}

// fileMode is FILE_MODE_INFORMATION, with one of the two flags where input and
// output wait ([MS-FSCC], section 2.4.26).
const (
	classMode     = 16
	synchronousIO = 0x10 | 0x20 // FILE_SYNCHRONOUS_IO_ALERT, FILE_SYNCHRONOUS_IO_NONALERT
)

// suitable reports nil for a handle that can be kept as a file
// (learn.microsoft.com, "GetFileType", "NtQueryInformationFile"). The second
// question waits until a read that somebody has begun there has ended; each
// person has so many connections, and no more, that can wait for it.
func suitable(handle windows.Handle) error {
	kind, err := windows.GetFileType(handle)
	switch {
	case err != nil || kind == windows.FILE_TYPE_UNKNOWN:
		return errors.Join(errHandle, err)
	case kind == windows.FILE_TYPE_CHAR:
		return nil // consoles and NUL, which are never overlapped
	}
	var mode uint32
	var status windows.IO_STATUS_BLOCK
	proc := windows.NewLazySystemDLL("ntdll.dll").NewProc("NtQueryInformationFile")
	result, _, _ := proc.Call(uintptr(handle), uintptr(unsafe.Pointer(&status)), uintptr(unsafe.Pointer(&mode)), unsafe.Sizeof(mode), classMode)
	if result != 0 {
		return fmt.Errorf("how it was opened: %w", windows.NTStatus(result))
	}
	if mode&synchronousIO == 0 {
		return errors.New("it was opened for overlapped input and output; start keepersudo with an ordinary file or pipe")
	}
	return nil
}

func closeFiles(files []*os.File) {
	for _, f := range files {
		f.Close()
	}
}
