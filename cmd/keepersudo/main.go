// Command keepersudo asks the service to run a command as another user. It
// holds no logic: see api/client/sudo.
package main

import (
	"os"
	"runtime"

	"kpm/api/client/sudo"
	"kpm/platform/caller"
)

var version = "0.1.0-dev" // the linker sets it

func main() {
	// With a second processor the runtime would look every 20 us, for as long as the
	// command runs at first, whether a thread that waits is to give up its own. Where
	// there is an entry point for it (platform/linux/early) there is but one by now.
	if runtime.GOMAXPROCS(0) > 1 {
		runtime.GOMAXPROCS(1)
	}
	os.Exit(sudo.Main(os.Args[1:], version, caller.New()))
}
