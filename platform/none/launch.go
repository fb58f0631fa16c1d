package none

import (
	"context"
	"errors"

	"kpm/core"
	"kpm/core/port"
)

// Launcher implements port.Launcher.
type Launcher struct{}

var _ port.Launcher = Launcher{}

// Prepare implements port.Launcher.
func (Launcher) Prepare(context.Context, port.LaunchSpec) (port.Held, error) {
	return nil, errors.ErrUnsupported
}

// Resume implements port.Launcher.
func (Launcher) Resume(core.ProcessID, string) (port.Process, error) {
	return nil, errors.ErrUnsupported
}

// Forget implements port.Launcher.
func (Launcher) Forget(core.ProcessID) {}
