package linux

import (
	"errors"
	"syscall"

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
		PortTaken:      func(err error) bool { return errors.Is(err, syscall.EADDRINUSE) },
	}
}
