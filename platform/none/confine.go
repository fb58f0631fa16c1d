package none

import (
	"context"
	"errors"

	"kpm/core/port"
)

// Confiner implements port.Confiner.
type Confiner struct{}

var _ port.Confiner = Confiner{}

// Start implements port.Confiner.
func (Confiner) Start(context.Context) (port.Confined, error) { return nil, errors.ErrUnsupported }
