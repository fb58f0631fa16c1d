//go:build linux

// Command keeperlaunch is started by the service ahead of need and becomes the
// programs that the service launches. It has no use of its own: without the
// service at descriptor 3 it ends at once.
package main

import (
	"bytes"

	"golang.org/x/sys/unix"

	"kpm/platform/linux/held"
)

const help = `Usage: keeperlaunch

The agent starts it ahead of need. It becomes the programs that the agent
launches, and stays beside those that have a terminal. It has no use of its
own.

Examples:
  KeeperAdminCLI status     says whether the agent can launch programs
`

func main() {
	if hasArguments() {
		unix.Write(1, []byte(help))
		return
	}
	held.Main(3)
}

// hasArguments reports whether a person has started it: the agent gives it
// none. Package os would know, but helpers that wait cost memory.
func hasArguments() bool {
	var line [64]byte
	fd, err := unix.Open("/proc/self/cmdline", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return false
	}
	n, _ := unix.Read(fd, line[:])
	unix.Close(fd)
	return bytes.Count(line[:max(0, n)], []byte{0}) > 1
}
