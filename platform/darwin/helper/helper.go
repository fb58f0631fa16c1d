//go:build unix

// Package helper is keeperlaunch on macOS: the helper that leads a launch's
// session, and the child that becomes the program (package held has what they are
// told). Both end by themselves when the service goes away before the release.
//
// It decides nothing. Who may start what was settled before it hears of it. All
// that macOS alone has is System, so that the rest is tested on other systems.
package helper

import (
	"os"

	"golang.org/x/sys/unix"

	"kpm/platform/darwin/held"
)

// exitUnused is the status of a process that ran nothing.
const exitUnused = 125

// System is what a child needs of macOS.
type System interface {
	// BecomeMember gives this process the groups of an account.
	BecomeMember(name string, group int) error
	// BecomeSuspended turns this process into a program that waits for SIGCONT
	// before its first instruction, with the descriptors that are named. It returns
	// only with the reason why it did not.
	BecomeSuspended(path string, argv, env []string, inherit []int) error
}

// Main is either of both; help is for a person who has started it. It does not
// return.
func Main(help string, system func() (System, error)) {
	unix.Umask(0o22)
	switch {
	case len(os.Args) == 2 && os.Args[1] == held.Hold:
		watch()
	case len(os.Args) == 2 && os.Args[1] == held.Become:
		become(system)
	default:
		os.Stdout.WriteString(help)
		os.Exit(0)
	}
}
