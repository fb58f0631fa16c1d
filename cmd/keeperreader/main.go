//go:build linux || windows || darwin

// Command keeperreader is started by the service to read the signatures of
// files that users chose, in a process without any privilege. It has no use of
// its own: without the service at the other end of its connection it ends at
// once.
package main

import (
	"os"
	"time"

	"kpm/core/port"
	"kpm/trust/reader"
	"kpm/trust/reader/judge"
)

const help = `Usage: keeperreader

The agent starts it to read the signatures of files that users chose, in a
process without any privilege. It has no use of its own.

Examples:
  KeeperAdminCLI trust inspect /opt/tool/bin/tool     asks one about a file
`

func main() {
	if len(os.Args) > 1 { // the agent gives it no arguments
		os.Stdout.WriteString(help)
		return
	}
	confine(serve)
}

func serve(service port.Confinement) error {
	return reader.Serve(service, func(b *reader.Bundle, now func() time.Time) (reader.Judge, error) {
		return judge.New(b, now)
	})
}
