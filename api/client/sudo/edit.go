package sudo

import (
	"os"

	"kpm/core/port/caller"
)

// edit becomes keeperedit, which asks for each file by a keepersudo of its own. It
// returns only if that is not possible.
func edit(opts *options, host caller.Host) *failure {
	if host.Replace == nil {
		return refused("-e", "edit a copy and put it in place by a command that policy allows")
	}
	root := agentRoot(opts.root, host.DefaultRoot, host.Administrator, os.Getenv)
	argv := []string{root + "/keeperedit", "--root", root}
	if opts.user != "" {
		argv = append(argv, "--user", opts.user)
	}
	if opts.nonInteractive {
		argv = append(argv, "--non-interactive")
	}
	argv = append(append(argv, "--"), opts.command...)
	err := host.Replace(argv)
	return &failure{exitUnusable, argv[0] + ": " + err.Error() + "; install the agent there, or name another with --root"}
}
