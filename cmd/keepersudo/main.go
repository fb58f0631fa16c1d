// Command keepersudo asks the service to run a command as another user. It
// holds no logic: see api/client/sudo.
package main

import (
	"os"

	"kpm/api/client/sudo"
	"kpm/platform/caller"
)

var version = "0.1.0-dev" // the linker sets it

func main() { os.Exit(sudo.Main(os.Args[1:], version, caller.New())) }
