package linux

import (
	"errors"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"kpm/core"
	"kpm/core/port"
)

// Facts are those of Linux.
func Facts() port.Facts {
	return port.Facts{
		Platform: core.Linux,
		BaseEnvironment: []string{
			"PATH=" + core.Linux.PathVariable(),
		},
		Administrator:  "0",
		ServiceAccount: "0",
		Resumes:        true,
		SinceBoot:      sinceBoot,
		PortTaken:      func(err error) bool { return errors.Is(err, syscall.EADDRINUSE) },
	}
}

// sinceBoot reads CLOCK_BOOTTIME, which counts sleep.
func sinceBoot() (string, time.Duration) {
	var now unix.Timespec
	if unix.ClockGettime(unix.CLOCK_BOOTTIME, &now) != nil {
		return "", 0 // every kernel that this runs on has it
	}
	return bootID(), time.Duration(now.Nano())
}
