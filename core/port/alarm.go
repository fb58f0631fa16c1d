package port

import (
	"context"
	"time"
)

// Alarms has the system run a program of ours later, also if this service does not
// run by then. Nobody may count on an alarm after a restart of the machine: some
// systems forget it, others run it late.
type Alarms interface {
	// Set has argv run as the administrator in that time. An alarm of the same name,
	// 1 to 64 letters and digits, is replaced.
	Set(ctx context.Context, name string, in time.Duration, argv []string) error
	// Clear takes an alarm back. There need not be one.
	Clear(ctx context.Context, name string) error
}
