// Command KeeperRunAs is "Run with Keeper" of Explorer: it asks the service to run
// what a person points at. It holds no logic: see api/client/runas and, for what
// becomes of the request, api/client/sudo. Other systems have no Explorer, and no use
// for it.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"kpm/api/client/runas"
	"kpm/api/client/sudo"
	"kpm/platform/caller"
	"kpm/platform/windows/shell"
)

var version = "0.1.0-dev" // the linker sets it

func main() { os.Exit(run(os.Args[1:])) }

// exitUsage is that of keepersudo.
const exitUsage = 2

func run(args []string) int {
	host := caller.New()
	// Explorer gives us no console. What went wrong is shown in a window then.
	if !shell.HasOutput() {
		var said strings.Builder
		host.Stdout, host.Stderr = &said, &said
		defer func() {
			if said.Len() > 0 {
				_ = shell.Show("Run with Keeper", said.String()) // nobody else is left to tell
			}
		}()
	}
	flags, rest := options(args)
	switch {
	case len(rest) == 1 && (rest[0] == "--help" || rest[0] == "-h" || rest[0] == "/?"):
		fmt.Fprint(host.Stdout, runas.Usage)
		return 0
	case len(rest) == 1 && rest[0] == "--version":
		fmt.Fprintln(host.Stdout, "KeeperRunAs", version)
		return 0
	case len(rest) == 0:
		fmt.Fprint(host.Stderr, "KeeperRunAs: no file to run. Try KeeperRunAs --help\n")
		return exitUsage
	}
	command, err := runas.Resolve(runas.Host{ReadFile: runas.Files, Split: shell.Split, Expand: shell.Expand}, rest[0], rest[1:])
	if err == nil && command.Dir != "" {
		err = os.Chdir(command.Dir)
	}
	if err == nil && filepath.Base(command.Argv[0]) != command.Argv[0] {
		command.Argv[0], err = filepath.Abs(command.Argv[0])
	}
	if err != nil {
		fmt.Fprintf(host.Stderr, "KeeperRunAs: %v\n", err)
		return exitUsage
	}
	return sudo.Main(append(append(flags, "--"), command.Argv...), version, host)
}

// options are those of keepersudo that come before the file: --root DIR.
func options(args []string) (flags, rest []string) {
	if len(args) >= 2 && args[0] == "--root" {
		return args[:2:2], args[2:]
	}
	return nil, args
}
