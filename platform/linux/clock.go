//go:build linux

package linux

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"kpm/core/port"
)

// Clock reads CLOCK_BOOTTIME (clock_gettime(2)), which no one can set, root
// included.
type Clock struct{}

var _ port.Clock = Clock{}

// Now implements port.Clock.
func (Clock) Now() (string, time.Duration, error) {
	boot := bootID()
	if boot == "unknown" {
		return "", 0, fmt.Errorf("clock: the kernel does not name this boot: %w", errors.ErrUnsupported)
	}
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &now); err != nil {
		return "", 0, fmt.Errorf("clock: %w", err)
	}
	return boot, time.Duration(now.Nano()), nil
}
