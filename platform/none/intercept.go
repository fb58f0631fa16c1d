package none

import (
	"context"
	"errors"

	"kpm/core/port"
)

// Interception implements port.Interception.
type Interception struct{}

var _ port.Interception = Interception{}

// Enable implements port.Interception.
func (Interception) Enable(context.Context, string) error { return errors.ErrUnsupported }

// Disable implements port.Interception.
func (Interception) Disable(context.Context, string) error { return errors.ErrUnsupported }
