// Command KeeperApproval asks a person on their desktop whether to ask for an approval, or an approver for theirs. It holds no logic: see
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
		Name: "KeeperApproval", About: "Asks the person at this desktop whether to ask approvers, or an approver whether to approve.",
		Kinds: []question.Kind{question.KindDecision, question.KindRequest}, Version: version,
		Show: desktop.Show, Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
	}
	os.Exit(program.Main(context.Background(), os.Args[1:]))
}
