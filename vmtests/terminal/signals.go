//go:build linux

package terminal

import (
	"os"
	"os/signal"

	"golang.org/x/sys/unix"
)

// DefaultSignals makes the commands that this process starts receive the
// signals of a terminal, as at a person's shell. Whatever is started under
// nohup, or in the background of a script, ignores some of them.
func DefaultSignals() {
	for _, s := range []os.Signal{unix.SIGHUP, unix.SIGINT, unix.SIGQUIT} {
		if signal.Ignored(s) {
			// Caught here, a signal is back to its default after exec.
			signal.Notify(make(chan os.Signal, 1), s)
		}
	}
}
