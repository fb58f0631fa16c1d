package none

import (
	"errors"
	"io"

	"kpm/core/port"
)

// ExecutionGate implements port.ExecutionGate.
type ExecutionGate struct{}

var _ port.ExecutionGate = ExecutionGate{}

// Ready implements port.ExecutionGate.
func (ExecutionGate) Ready() error { return errors.ErrUnsupported }

// Start implements port.ExecutionGate.
func (ExecutionGate) Start() (io.ReadWriteCloser, error) { return nil, errors.ErrUnsupported }
