//go:build !linux && !darwin && !windows

package caller

import (
	"errors"
	"os"
	"time"

	port "kpm/core/port/caller"
	"kpm/core/signal"
)

// New returns ports that hand over nothing: no command runs.
func New() port.Host {
	return port.Host{
		Administrator: true, // where it cannot be told, more is refused
		Stdout:        os.Stdout, Stderr: os.Stderr, Random: func([]byte) error { return errors.ErrUnsupported },
		Handles: none{}, Service: none{}, Console: none{}, Prompt: none{}, Signals: none{},
	}
}

// none implements the ports and has nothing. What has an error answers
// errors.ErrUnsupported.
type none struct{}

// Directory implements port.Handles.
func (none) Directory() (uintptr, error) { return 0, errors.ErrUnsupported }

// Program implements port.Handles.
func (none) Program(string) (uintptr, error) { return 0, errors.ErrUnsupported }

// Standard implements port.Handles.
func (none) Standard() [3]uintptr { return [3]uintptr{} }

// Close implements port.Handles.
func (none) Close(uintptr) {}

// Connect implements port.Service.
func (none) Connect(string) error { return errors.ErrUnsupported }

// Read implements port.Service.
func (none) Read([]byte) (int, error) { return 0, errors.ErrUnsupported }

// Send implements port.Service.
func (none) Send([]byte, ...uintptr) error { return errors.ErrUnsupported }

// Screen implements port.Console.
func (none) Screen() port.Screen { return port.Screen{} }

// Receive implements port.Console.
func (none) Receive() {}

// Over implements port.Console.
func (none) Over() bool { return false }

// Carry implements port.Console.
func (none) Carry() {}

// Drain implements port.Console.
func (none) Drain() {}

// Restore implements port.Console.
func (none) Restore() {}

// Ask implements port.Prompt.
func (none) Ask(port.Question, time.Duration, func() bool) (string, port.Outcome) {
	return "", port.Cancelled
}

// Wake implements port.Prompt.
func (none) Wake() {}

// Watch implements port.Signals.
func (none) Watch(func(signal.Sent)) {}

// Number implements port.Signals.
func (none) Number(signal.Signal) uint32 { return 0 }

// EndBy implements port.Signals.
func (none) EndBy(signal.Signal) { os.Exit(1) }
