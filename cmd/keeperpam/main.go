//go:build linux || darwin

// Command keeperpam is started by the service to ask PAM something, in a process
// that is not the service. It has no use of its own: without the service at
// descriptor 3 it ends at once.
package main

import (
	"os"

	"kpm/platform/unix/pam/libpam"
)

const help = `Usage: keeperpam

The agent starts it where PAM (Pluggable Authentication Modules) is to open a
session or to check who somebody is. It has no use of its own. What PAM does for
the agent is in /etc/pam.d/kpm or, on Linux without that, /usr/lib/pam.d/kpm.

Examples:
  cp /usr/lib/pam.d/kpm /etc/pam.d/kpm     begins a file of your own, on Linux
`

func main() {
	if len(os.Args) > 1 { // the agent gives it no arguments
		os.Stdout.WriteString(help)
		return
	}
	os.Exit(libpam.Main())
}
