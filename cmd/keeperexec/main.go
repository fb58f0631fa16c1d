//go:build linux

// Command keeperexec is started by the service to stop programs before they run,
// where an administrator has switched that on. It has no use of its own: without
// the service at descriptor 3 it ends at once, and the kernel stops nothing.
package main

import (
	"os"

	"kpm/launcher/execution"
	stop "kpm/platform/linux/execution"
)

const help = `Usage: keeperexec

The agent starts it to decide about programs before they run, where that is
switched on. It has no use of its own.

Examples:
  KeeperAdminCLI interception disable exec     ends it, at once and until enabled
`

func main() {
	if len(os.Args) > 1 { // the agent gives it no arguments
		os.Stdout.WriteString(help)
		return
	}
	if err := stop.Main(execution.Serve); err != nil {
		os.Stderr.WriteString("keeperexec: " + err.Error() + "\n")
		os.Exit(1)
	}
}
