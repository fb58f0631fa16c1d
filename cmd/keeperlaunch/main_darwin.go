package main

import (
	"kpm/platform/darwin/helper"
	"kpm/platform/darwin/libsystem"
)

const help = `Usage: keeperlaunch

The agent starts it ahead of need. It becomes the programs that the agent
launches, and stays beside them until they end. It has no use of its own.

Examples:
  KeeperAdminCLI status     says whether the agent can launch programs
`

func main() {
	helper.Main(help, func() (helper.System, error) { return libsystem.Bound() })
}
