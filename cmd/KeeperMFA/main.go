// Command KeeperMFA asks a person for a code of their second factor, on their desktop. It holds no logic: see
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
		Name: "KeeperMFA", About: "Asks the person at this desktop for a code of their second factor.",
		Kinds: []question.Kind{question.KindCode, question.KindReason}, Version: version,
		Show: desktop.Show, Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
	}
	os.Exit(program.Main(context.Background(), os.Args[1:]))
}
