//go:build windows

package windows

import (
	"errors"
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/windows"

	"kpm/core"
	"kpm/core/port"
	"kpm/platform/windows/held"
)

// Terminals makes and recognises consoles.
type Terminals struct{}

var _ port.Terminals = Terminals{}

// volumeDevice is FILE_FS_DEVICE_INFORMATION, and the kind of device that
// consoles are ([MS-FSCC], 2.5.10; wdm.h).
type volumeDevice struct{ kind, characteristics uint32 }

const (
	classVolumeDevice = 4
	deviceConsole     = 0x50
)

// IsTerminal reports whether f is a console, by its kind of device.
//
// Attack: a console's own host answers GetConsoleMode, and belongs to the caller:
// one that does not answer would stop the service. What kind of device a handle
// is for is known to the system itself.
func (Terminals) IsTerminal(f *os.File) bool {
	if f == nil {
		return false
	}
	raw, err := f.SyscallConn()
	if err != nil {
		return false
	}
	var device volumeDevice
	console := false
	err = raw.Control(func(fd uintptr) {
		var status windows.IO_STATUS_BLOCK
		// learn.microsoft.com, "NtQueryVolumeInformationFile"
		proc := windows.NewLazySystemDLL("ntdll.dll").NewProc("NtQueryVolumeInformationFile")
		result, _, _ := proc.Call(fd, uintptr(unsafe.Pointer(&status)), uintptr(unsafe.Pointer(&device)), unsafe.Sizeof(device), classVolumeDevice)
		console = result == 0 && device.kind == deviceConsole
	})
	return err == nil && console
}

// Size of a terminal whose caller did not say.
const defaultRows, defaultColumns = 24, 80

// terminal is a pseudo console that the helper makes: the pipes between it and
// whoever shows it. The program's ends go to the helper, the others to the
// caller.
type terminal struct {
	in, out, size       *os.File // the program's
	typed, shown, sized *os.File // the caller's
	rows, columns       uint16
	given, handed       bool
}

// Name implements port.Terminals.
func (Terminals) Name(*os.File) string { return "" }

// Open implements port.Terminals. The console has no owner before the helper, who
// is what owner says, makes it.
func (Terminals) Open(core.Identity) (port.Terminal, error) {
	t := &terminal{rows: defaultRows, columns: defaultColumns}
	for _, pair := range [][2]**os.File{{&t.in, &t.typed}, {&t.shown, &t.out}, {&t.size, &t.sized}} {
		r, w, err := os.Pipe()
		if err != nil {
			t.Close()
			return nil, fmt.Errorf("terminal: %w", err)
		}
		*pair[0], *pair[1] = r, w
	}
	return t, nil
}

// ownTerminal returns t if it is one of this system's that is open.
func ownTerminal(t port.Terminal) (*terminal, error) {
	own, ok := t.(*terminal)
	if !ok || own.in == nil {
		return nil, fmt.Errorf("terminal: %T is none of this system's that is open: %w", t, os.ErrClosed)
	}
	return own, nil
}

// give hands the program's ends to the helper and keeps none.
func (t *terminal) give(helper windows.Handle, spec *held.Spec) error {
	for _, end := range []struct {
		file  **os.File
		named *uint64
	}{{&t.in, &spec.TerminalIn}, {&t.out, &spec.TerminalOut}, {&t.size, &spec.TerminalSize}} {
		handle, err := giveFile(helper, *end.file, false)
		if err != nil {
			return fmt.Errorf("terminal: %w", err)
		}
		*end.named = handle
		(*end.file).Close()
		*end.file = nil
	}
	spec.Rows, spec.Columns = t.rows, t.columns
	t.given = true
	return nil
}

// Resize implements port.Terminal.
func (t *terminal) Resize(rows, columns uint16) error {
	if t.handed {
		return fmt.Errorf("terminal: resize: whoever shows it sets the size: %w", errors.ErrUnsupported)
	}
	if t.sized == nil {
		return fmt.Errorf("terminal: resize: %w", os.ErrClosed)
	}
	if rows == 0 || columns == 0 {
		rows, columns = defaultRows, defaultColumns
	}
	t.rows, t.columns = rows, columns
	if !t.given {
		return nil
	}
	if _, err := t.sized.Write(held.EncodeSize(rows, columns)); err != nil {
		return fmt.Errorf("terminal: resize: %w", err)
	}
	return nil
}

// HandOver implements port.Terminal: the caller gets what is typed into, what is
// shown, and what takes sizes.
func (t *terminal) HandOver(send func(files ...*os.File) error) error {
	if t.typed == nil {
		return fmt.Errorf("terminal: hand over: %w", os.ErrClosed)
	}
	err := send(t.typed, t.shown, t.sized)
	t.handed = true
	return errors.Join(err, t.Close())
}

// Close implements port.Terminal. Without anybody who types, the console's host
// hangs up on what runs in it.
func (t *terminal) Close() error {
	var errs []error
	for _, f := range []**os.File{&t.in, &t.out, &t.size, &t.typed, &t.shown, &t.sized} {
		if *f != nil {
			errs = append(errs, (*f).Close())
			*f = nil
		}
	}
	return errors.Join(errs...)
}
