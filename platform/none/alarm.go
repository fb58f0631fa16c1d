package none

import (
	"context"
	"errors"
	"time"

	"kpm/core/port"
)

// Alarms implements port.Alarms.
type Alarms struct{}

var _ port.Alarms = Alarms{}

// Set implements port.Alarms.
func (Alarms) Set(context.Context, string, time.Duration, []string) error {
	return errors.ErrUnsupported
}

// Clear implements port.Alarms.
func (Alarms) Clear(context.Context, string) error { return errors.ErrUnsupported }
