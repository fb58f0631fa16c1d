package none

import (
	"errors"
	"io"

	"kpm/core/port"
)

// ExecutionControl implements port.ExecutionControl.
type ExecutionControl struct{}

var _ port.ExecutionControl = ExecutionControl{}

// Ready implements port.ExecutionControl.
func (ExecutionControl) Ready() error { return errors.ErrUnsupported }

// Start implements port.ExecutionControl.
func (ExecutionControl) Start() (io.ReadWriteCloser, error) { return nil, errors.ErrUnsupported }
