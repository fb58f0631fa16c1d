package none

import (
	"errors"
	"time"

	"kpm/core/port"
)

// Clock implements port.Clock.
type Clock struct{}

var _ port.Clock = Clock{}

// Now implements port.Clock.
func (Clock) Now() (string, time.Duration, error) { return "", 0, errors.ErrUnsupported }
