//go:build linux || darwin

package caller

import (
	port "kpm/core/port/caller"
	"kpm/platform/unix/caller"
)

// New returns the ports of this process.
func New() port.Host { return caller.New() }
