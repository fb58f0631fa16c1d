//go:build linux

// Command keepergate is started by the service to stop programs before they run,
// where an administrator has switched that on. It has no use of its own: without
// the service at descriptor 3 it ends at once, and the kernel stops nothing.
package main

import (
	"os"

	"golang.org/x/sys/unix"

	"kpm/launcher/gate"
	group "kpm/platform/linux/gate"
)

const help = `Usage: keepergate

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
	if err := serve(); err != nil {
		os.Stderr.WriteString("keepergate: " + err.Error() + "\n")
		os.Exit(1)
	}
}

// files is how many executions can wait, each with a descriptor or two.
const files = 16 << 10

func serve() error {
	const service = 3
	if err := unix.SetNonblock(service, true); err != nil {
		return err
	}
	// What is not permitted here is as it was: then fewer wait.
	_ = unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: files, Max: files})
	executions, err := group.Open()
	if err != nil {
		return err
	}
	return gate.Serve(os.NewFile(service, "service"), executions)
}
