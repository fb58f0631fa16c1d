//go:build windows

package held

import (
	"errors"
	"fmt"
	"io"
	"os"
	"unsafe"

	"golang.org/x/sys/windows"

	"kpm/platform/windows/dacl"
)

// DesktopArgument is what a helper is called with that admits somebody to the desktop
// of the session that it is in; a SID follows. It runs as the service does: one of
// another session reaches no desktop but its own.
const DesktopArgument = "desktop"

// What is given of a window station and a desktop: to have windows, to be seen and typed
// into, and the clipboard. Not to switch desktops, to end the session, to record what
// others type, or to change who is admitted (learn.microsoft.com, "Window Station
// Security and Access Rights", "Desktop Security and Access Rights").
const (
	stationRights = 0x1 | 0x2 | 0x4 | 0x20 | 0x100 | 0x200 | windows.READ_CONTROL
	desktopRights = 0x1 | 0x2 | 0x4 | 0x40 | 0x80 | windows.READ_CONTROL
)

const changeList = windows.READ_CONTROL | windows.WRITE_DAC

// admit lets a logon in to the desktop, says so on standard output, and takes that back
// when its standard input ends: when the command has, or the service. It returns the
// exit code.
//
// Attack: a SID that somebody else has too, or one of a user who stays. So it is one of
// a logon, which is there once, and the entry goes with the command.
func admit(text string) uint32 {
	undo, err := Admit(text)
	if err != nil {
		report(StepDesktop, err)
		return exitUnused
	}
	os.Stdout.Write(Report{Step: StepDesktop}.Encode())
	io.Copy(io.Discard, os.Stdin) // nobody says anything: it ends
	if undo() != nil {
		return exitUnused
	}
	return 0
}

// Admit lets whoever has the SID of a logon in to this process's window station and
// desktop. undo takes it back.
func Admit(text string) (undo func() error, err error) {
	logon, err := dacl.ParseSID(text)
	if err != nil {
		return nil, err
	}
	if !logon.Logon() {
		return nil, fmt.Errorf("%s is no logon's: %w", text, errSpec)
	}
	user32 := windows.NewLazySystemDLL("user32.dll")
	station, err := openObject(user32.NewProc("OpenWindowStationW"), "winsta0")
	if err != nil {
		return nil, err
	}
	desktop, err := openObject(user32.NewProc("OpenDesktopW"), "default", 0)
	if err != nil {
		return nil, err
	}
	give := func(handle windows.Handle, mask uint32) error {
		return changeObject(handle, func(l dacl.List) dacl.List { return l.Give(logon, mask) })
	}
	take := func(handle windows.Handle, mask uint32) error {
		return changeObject(handle, func(l dacl.List) dacl.List { return l.Take(logon, mask) })
	}
	if err := give(station, stationRights); err != nil {
		return nil, fmt.Errorf("window station: %w", err)
	}
	if err := give(desktop, desktopRights); err != nil {
		return nil, errors.Join(fmt.Errorf("desktop: %w", err), take(station, stationRights))
	}
	return func() error { return errors.Join(take(desktop, desktopRights), take(station, stationRights)) }, nil
}

// openObject opens a window station or a desktop, to change who may do what with it, for
// as long as this process lives (learn.microsoft.com, "OpenWindowStationW",
// "OpenDesktopW").
func openObject(proc *windows.LazyProc, name string, flags ...uintptr) (windows.Handle, error) {
	wide, err := windows.UTF16PtrFromString(name)
	if err != nil {
		return 0, err
	}
	arguments := append(append([]uintptr{uintptr(unsafe.Pointer(wide))}, flags...), 0, changeList)
	handle, _, err := proc.Call(arguments...)
	if handle == 0 {
		return 0, fmt.Errorf("%s %s: %w", proc.Name, name, err)
	}
	return windows.Handle(handle), nil
}

// changeObject changes the access list of a window station or a desktop.
func changeObject(handle windows.Handle, change func(dacl.List) dacl.List) error {
	list, err := dacl.Of(handle)
	if errors.Is(err, dacl.ErrNone) {
		return nil // everybody is let in
	}
	if err != nil {
		return err
	}
	return change(list).Set(handle)
}
