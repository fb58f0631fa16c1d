//go:build windows

package caller

import (
	"os"
	"time"

	"golang.org/x/sys/windows"

	port "kpm/core/port/caller"
	"kpm/core/signal"
)

// signals implements port.Signals with the events of the console.
type signals struct{}

var _ port.Signals = signals{}

// closing is how long the system lets a process live whose console has been
// closed, or whose user logs off (learn.microsoft.com, "HandlerRoutine").
const closing = 5 * time.Second

// Watch implements port.Signals (learn.microsoft.com, "SetConsoleCtrlHandler").
// The runtime's own handler, which is asked after this one, does not tell Ctrl-C
// from Ctrl-Break.
func (signals) Watch(deliver func(signal.Sent)) {
	events := make(chan uint32, 16)
	go func() {
		for event := range events {
			deliver(signal.Sent{Signal: meant(event)})
		}
	}()
	handler := windows.NewCallback(func(event uint32) uintptr {
		select {
		case events <- event:
		default: // so many wait already that one more adds nothing
		}
		if event != windows.CTRL_C_EVENT && event != windows.CTRL_BREAK_EVENT {
			time.Sleep(closing) // when this returns, the process ends
		}
		return 1
	})
	proc := windows.NewLazySystemDLL("kernel32.dll").NewProc("SetConsoleCtrlHandler")
	proc.Call(handler, 1)
}

// meant is the signal that an event stands for.
func meant(event uint32) signal.Signal {
	switch event {
	case windows.CTRL_C_EVENT:
		return signal.Interrupt
	case windows.CTRL_BREAK_EVENT:
		return signal.Quit
	}
	return signal.Hangup // the console is closed, or the session ends
}

// Number implements port.Signals: Windows has no numbers of its own.
func (signals) Number(s signal.Signal) uint32 { return uint32(s) }

// EndBy implements port.Signals.
func (signals) EndBy(s signal.Signal) { os.Exit(128 + int(s)) }
