// Command KeeperPolicy is the policy plugin, and lints policy files for their
// authors ("KeeperPolicy lint"). It holds no logic: see plugins/keeperpolicy.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"sync"
	"syscall"

	"kpm/core/wire"
	"kpm/platform/files"
	"kpm/platform/rest"
	"kpm/platform/turns"
	"kpm/plugins/keeperpolicy"
	"kpm/plugins/sdk"
)

const help = `Usage: KeeperPolicy
       KeeperPolicy lint [OPTION...] FILE...

The policy plugin: it decides requests by the files in Policies/. The agent
starts it, by Plugins/KeeperPolicy.json, and sets KEEPER_AGENT_ROOT. For those
who write policies it reads files without an agent, and says what there is to
say about them.

Examples:
  KeeperPolicy lint Policies/*.json
  KeeperPolicy lint --json new.json
  KeeperPolicy lint --help
`

func main() {
	if len(os.Args) == 2 && (os.Args[1] == "--help" || os.Args[1] == "-h") {
		fmt.Print(help)
		return
	}
	if len(os.Args) > 1 && os.Args[1] == "lint" {
		os.Exit(keeperpolicy.Lint(os.Args[2:], os.Stdout, os.Stderr, keeperpolicy.Tools{
			Open:    func(root, path string) (keeperpolicy.Folder, error) { return files.Open(root, path) },
			Resolve: files.Resolve,
		}))
	}
	root := os.Getenv("KEEPER_AGENT_ROOT")
	if root == "" || len(os.Args) > 1 {
		fmt.Fprintln(os.Stderr, "KeeperPolicy is started by the agent, which sets KEEPER_AGENT_ROOT. For yourself there is KeeperPolicy lint; see KeeperPolicy --help.")
		os.Exit(2)
	}
	// One processor, but to read many policies: a question is a relay of goroutines,
	// and a second one only wakes threads.
	wide := func(many bool) {
		n := 1
		if many {
			n = runtime.NumCPU()
		}
		runtime.GOMAXPROCS(n)
	}
	wide(false)
	turns.Short()
	pace := new(rest.Pace)
	pace.Work()
	reload := make(chan os.Signal, 1)
	signal.Notify(reload, syscall.SIGHUP)
	cfg := keeperpolicy.Config{
		Root: root, Reload: reload, Resolve: files.Resolve, Pace: pace, Wide: wide,
		Open: func(path string) (keeperpolicy.Folder, error) { return files.Open(root, path) },
		Sparing: sync.OnceFunc(func() {
			// A small heap that is collected often: memory on every machine matters
			// more than a share of a microsecond.
			debug.SetGCPercent(25)
		}),
	}
	cfg.Ahead = keeperpolicy.Begin(cfg)
	os.Exit(sdk.Main(sdk.Config{ID: wire.PolicyPlugin, AskSettings: true}, func(ctx context.Context, a *sdk.Agent) error {
		return keeperpolicy.Run(ctx, a, cfg)
	}))
}
