// Command RedirectEvaluator is the launch job's task that looks for a redirect
// rule.
package main

import (
	"context"
	"fmt"
	"os"

	"kpm/jobs/redirectevaluator"
)

const help = `Usage: RedirectEvaluator OPTION...

The task of the launch job that looks, before a launch, for a rule that
redirects the program to another one (its setting metadata.redirect.rules). The
agent starts it, by Jobs/LaunchPrivilegeElevation.json. Options that name the
program are in that file.

It prints {"RedirectMatched": true} or false. Exit status: 0, or 1 if it cannot be
told; then nothing is launched.

Examples:
  KeeperAdminCLI settings get RedirectEvaluator metadata.redirect.rules
`

func main() {
	if len(os.Args) == 2 && (os.Args[1] == "--help" || os.Args[1] == "-h") {
		fmt.Print(help)
		return
	}
	os.Exit(redirectevaluator.Main(context.Background(), os.Args[1:], nil, os.Stdout, os.Stderr))
}
