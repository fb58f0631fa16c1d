package port

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// Alarms has the system run a program of ours later, also if this service does not
// run by then. Nobody may count on an alarm after a restart of the machine: some
// systems forget it, others run it late.
type Alarms interface {
	// Set has argv run as the administrator in that time. An alarm of the same name
	// (AlarmName) is replaced.
	Set(ctx context.Context, name string, in time.Duration, argv []string) error
	// Clear takes an alarm back. There need not be one.
	Clear(ctx context.Context, name string) error
}

// AlarmName says why a name is none of an alarm's, nil for 1 to 64 letters and digits.
// Attack: it becomes a part of a unit's or a job's name, of a path, or an option.
func AlarmName(name string) error {
	if name == "" || len(name) > 64 || strings.ContainsFunc(name, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9')
	}) {
		return fmt.Errorf("alarm %.80q: expected 1 to 64 letters and digits", name)
	}
	return nil
}
