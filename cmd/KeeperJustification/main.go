// Command KeeperJustification asks a person for a reason, on their desktop. It holds no logic: see
// api/client/dialog and platform/dialog.
package main

import (
	"context"
	"os"

	"kpm/api/client/dialog"
	question "kpm/core/dialog"
	desktop "kpm/platform/dialog"
)

var version = "0.1.0-dev" // the linker sets it

func main() {
	program := dialog.Program{
		Name: "KeeperJustification", About: "Asks the person at this desktop why they want to run something.",
		Kinds: []question.Kind{question.KindReason}, Version: version,
		Show: desktop.Show, Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
	}
	os.Exit(program.Main(context.Background(), os.Args[1:]))
}
