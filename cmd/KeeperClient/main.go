// Command KeeperClient shows a person on their desktop what becomes of their requests. It
// holds no logic: see api/client/notices and platform/dialog.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"kpm/api/client/notices"
	question "kpm/core/dialog"
	"kpm/platform"
	desktop "kpm/platform/dialog"
)

var version = "0.1.0-dev" // the linker sets it

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	os.Exit(notices.Run(ctx, os.Args[1:], notices.Config{
		Version: version, Host: platform.Tools(""), Show: show, Stdout: os.Stdout, Stderr: os.Stderr,
	}))
}

// show shows a notice on the desktop of whoever runs this.
func show(ctx context.Context, _ question.Desktop, q question.Question) (question.Answer, error) {
	return desktop.Show(ctx, q)
}
