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
		Version:       version,
		Administrator: platform.Administrator(),
		ProtectedRoot: platform.ProtectedRoot,
		Dial:          platform.DialLocal,
		Inspector:     platform.Inspector,
		Keys:          platform.Keys(),
		Lock:          platform.Lock,
		Private:       platform.Private,
	})
	stop()
	os.Exit(code)
}
