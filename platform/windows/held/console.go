//go:build windows

package held

import (
	"io"
	"os"

	"golang.org/x/sys/windows"
)

// openConsole makes the pseudo console (learn.microsoft.com,
// "CreatePseudoConsole").
//
// Attack: its host reads what the program and the person write. It is started by
// this process, so that it has the target's rights and not the service's.
func (h *helper) openConsole(spec Spec) error {
	size := coord(spec.Rows, spec.Columns)
	in, out := windows.Handle(spec.TerminalIn), windows.Handle(spec.TerminalOut)
	err := windows.CreatePseudoConsole(size, in, out, 0, &h.console)
	// The host has its own.
	windows.CloseHandle(in)
	windows.CloseHandle(out)
	sizes := os.NewFile(uintptr(spec.TerminalSize), "sizes")
	if err != nil {
		sizes.Close()
		return err
	}
	go h.resize(sizes)
	return nil
}

func coord(rows, columns uint16) windows.Coord {
	y, x := extent(rows, columns)
	return windows.Coord{X: x, Y: y}
}

// resize sets the sizes that come in, until nobody sends any more or this
// process ends (learn.microsoft.com, "ResizePseudoConsole").
func (h *helper) resize(sizes *os.File) {
	defer sizes.Close()
	var b [SizeSize]byte
	for {
		if _, err := io.ReadFull(sizes, b[:]); err != nil {
			return
		}
		rows, columns := DecodeSize(b[:])
		h.mu.Lock()
		if h.console != 0 {
			windows.ResizePseudoConsole(h.console, coord(rows, columns))
		}
		h.mu.Unlock()
	}
}

// control tells everything in the program's console (learn.microsoft.com,
// "AttachConsole", "GenerateConsoleCtrlEvent"). A program that has none hears
// nothing.
func (h *helper) control(event uint32) {
	kernel32 := windows.NewLazySystemDLL("kernel32.dll")
	if ok, _, _ := kernel32.NewProc("AttachConsole").Call(uintptr(h.program.ProcessId)); ok == 0 {
		return
	}
	windows.GenerateConsoleCtrlEvent(event, 0)
	kernel32.NewProc("FreeConsole").Call()
}
