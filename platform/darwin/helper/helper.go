//go:build darwin

// Package helper is keeperlaunch on macOS: the helper that leads a launch's
// session, and the child that becomes the program (package held has what they are
// told). Both end by themselves when the service goes away before the release.
//
// It decides nothing. Who may start what was settled before it hears of it.
package helper

import (
	"os"

	"golang.org/x/sys/unix"

	"kpm/platform/darwin/held"
)

// exitUnused is the status of a process that ran nothing.
const exitUnused = 125

// Main is either of both; help is for a person who has started it. It does not
// return.
func Main(help string) {
	unix.Umask(0o22)
	switch {
	case len(os.Args) == 2 && os.Args[1] == held.Hold:
		watch()
	case len(os.Args) == 2 && os.Args[1] == held.Become:
		become()
	default:
		os.Stdout.WriteString(help)
		os.Exit(0)
	}
}
