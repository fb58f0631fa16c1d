package none

import (
	"context"
	"errors"

	"kpm/core/port"
)

// Elevations implements port.Elevations.
type Elevations struct{}

var _ port.Elevations = Elevations{}

// Watch implements port.Elevations.
func (Elevations) Watch(context.Context, func(port.Elevation)) error { return errors.ErrUnsupported }
