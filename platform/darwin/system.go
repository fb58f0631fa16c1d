//go:build unix

package darwin

import (
	"os"

	"kpm/platform/darwin/file"
	"kpm/platform/darwin/kernel"
	"kpm/platform/darwin/launchgroup"
)

// system is what the launcher and the process tree ask of macOS (mac). It is an
// interface so that the launcher itself runs on other systems, in its tests.
type system interface {
	// process returns one process with its session, as it is at this moment.
	process(pid int) (kernel.Process, bool)
	// processes returns every process.
	processes() (launchgroup.Table, error)
	// carried are those of the wanted variables, NAME=value, that a process was started
	// with.
	carried(pid int, wanted map[string]bool) []string
	// boot names the time since this start of the machine, or is "unknown".
	boot() string
	// whereIs is file.WhereIs, and reopen file.Reopen.
	whereIs(fd int) (file.Place, error)
	reopen(fd int) (*os.File, error)
	// whatRuns looks at a suspended process that is to be s.
	whatRuns(pid int, s sealed) (running, error)
}
