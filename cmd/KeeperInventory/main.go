// Command KeeperInventory is the task of the inventory jobs.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"kpm/jobs/inventory"
)

const help = `Usage: KeeperInventory files|users --out=PATH

Writes down what is on this machine, as JSON: the machine itself and, for users,
its local accounts and groups and who is logged in, or, for files, its programs
with size, time and SHA-256. Prints where that is and how many there are. The agent
starts it, by the jobs of the inventory.

Exit status: 0; 1 if the inventory could not be taken; 2 if the command line is
wrong.

Examples:
  KeeperInventory users --out=/tmp/users.json
  KeeperAdminCLI jobs run 3A124C4D-2D41-4174-9A13-998D1683DADC --follow
`

func main() {
	if len(os.Args) == 2 && (os.Args[1] == "--help" || os.Args[1] == "-h") {
		fmt.Print(help)
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := inventory.Main(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}
