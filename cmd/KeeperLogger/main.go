// Command KeeperLogger is the log plugin. It holds no logic: see
// plugins/keeperlogger.
package main

import (
	"context"
	"fmt"
	"os"
	"runtime/debug"

	"kpm/platform/owner"
	"kpm/platform/rest"
	"kpm/platform/systemlog"
	"kpm/plugins/keeperlogger"
	"kpm/plugins/sdk"
)

const help = `Usage: KeeperLogger

The log plugin: it writes what plugins and jobs say on the topic KeeperLogger
to Plugins/bin/KeeperLogger/Log/, or where log.file.path says, and if asked to,
to the system's log (log.system) and to a receiver (log.http.url). The agent
starts it, by Plugins/KeeperLogger.json, and sets KEEPER_AGENT_ROOT.

Examples:
  KeeperAdminCLI plugins list              is it running?
  KeeperAdminCLI settings get KeeperLogger log.file.path
`

func main() {
	if len(os.Args) == 2 && (os.Args[1] == "--help" || os.Args[1] == "-h") {
		fmt.Print(help)
		return
	}
	root := os.Getenv("KEEPER_AGENT_ROOT")
	if root == "" || len(os.Args) > 1 {
		fmt.Fprintln(os.Stderr, "KeeperLogger is started by the agent, which sets KEEPER_AGENT_ROOT.")
		os.Exit(2)
	}
	debug.SetGCPercent(25) // memory on every machine matters more than the time of a log line
	debug.SetMemoryLimit(48 << 20)
	pace := new(rest.Pace)
	pace.Work()
	os.Exit(sdk.Main(sdk.Config{ID: keeperlogger.ID, AskSettings: true}, func(ctx context.Context, a *sdk.Agent) error {
		return keeperlogger.Run(ctx, a, keeperlogger.Config{Root: root, Folder: owner.Folder, System: systemLog, Stderr: os.Stderr, Pace: pace})
	}))
}

func systemLog() (keeperlogger.SystemLog, error) { return systemlog.Open(keeperlogger.ID) }
