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
		held.Main(3, 4) // where the service is
	}
}
