// Command KeeperLogger is the log plugin. It holds no logic: see
// plugins/keeperlogger.
package main

import (
	"context"
	"fmt"
	"os"
	"runtime/debug"

	"kpm/core/reserve"
	"kpm/platform/owner"
	"kpm/plugins/keeperlogger"
	"kpm/plugins/sdk"
)

func main() {
	root := os.Getenv("KEEPER_AGENT_ROOT")
	if root == "" || len(os.Args) > 1 {
		fmt.Fprintln(os.Stderr, "KeeperLogger is started by the agent, which sets KEEPER_AGENT_ROOT.")
		os.Exit(2)
	}
	debug.SetGCPercent(25) // memory on every machine matters more than the time of a log line
	reserve.Threads(8)     // the log goes on when the machine takes no more processes
	os.Exit(sdk.Main(sdk.Config{ID: keeperlogger.ID}, func(ctx context.Context, a *sdk.Agent) error {
		return keeperlogger.Run(ctx, a, root, owner.Check, os.Stderr)
	}))
}
