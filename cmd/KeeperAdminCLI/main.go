// Command KeeperAdminCLI is the administrator's tool. It holds no logic: see
// api/client/admincli.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"kpm/api/client/admincli"
	"kpm/platform"
)

// version is set by the build (-ldflags "-X main.version=...").
var version = "0.1.0-dev"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := admincli.Run(ctx, os.Args[1:], os.Stdout, os.Stderr, admincli.Config{
		Version: version,
		Host:    platform.Tools,
	})
	stop()
	os.Exit(code)
}
