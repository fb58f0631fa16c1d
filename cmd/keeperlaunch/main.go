//go:build linux

// Command keeperlaunch is started by the service ahead of need and becomes the
// programs that the service launches. It has no use of its own: without the
// service at descriptor 3 it ends at once.
package main

import "kpm/platform/linux/held"

const help = `Usage: keeperlaunch

The agent starts it ahead of need. It becomes the programs that the agent
launches, and stays beside those that have a terminal. It has no use of its
own.

Examples:
  KeeperAdminCLI status     says whether the agent can launch programs
`

func main() {
	if !held.Explained(help) {
		held.Main(3)
	}
}
