//go:build darwin

package darwin

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"kpm/core/port"
)

// Clock reads CLOCK_MONOTONIC_RAW (clock_gettime(3)), which is mach_continuous_time:
// it goes on while the machine sleeps, and nobody can set it.
type Clock struct{}

var _ port.Clock = Clock{}

// Now implements port.Clock.
func (Clock) Now() (string, time.Duration, error) {
	boot := mac{}.boot()
	if boot == unknownBoot {
		return "", 0, fmt.Errorf("clock: the kernel does not name this boot: %w", errors.ErrUnsupported)
	}
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC_RAW, &now); err != nil {
		return "", 0, fmt.Errorf("clock: %w", err)
	}
	return boot, time.Duration(now.Nano()), nil
}
