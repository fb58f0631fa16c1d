// Command RedirectEvaluator is the launch job's task that looks for a redirect
// rule.
package main

import (
	"context"
	"os"

	"kpm/jobs/redirectevaluator"
)

func main() {
	os.Exit(redirectevaluator.Main(context.Background(), os.Args[1:], nil, os.Stdout, os.Stderr))
}
