// Package dialog is what KeeperMFA, KeeperJustification and KeeperApproval have in common:
// they read one question, show it, and print what was said. The service starts them in a
// person's session, as a task of kind UserDesktop.
//
// They have no authority. What was entered goes back to the service by the pipe that the
// question came on, and is verified there (decision 27).
package dialog

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"kpm/core/dialog"
)

// Exit statuses.
const (
	exitOK    = 0 // an answer was printed, whatever it is
	exitFault = 1
	exitUsage = 2
)

// Program is one of the dialogs.
type Program struct {
	Name, About string
	// Kinds are what it asks.
	Kinds   []dialog.Kind
	Version string
	// Show shows a question.
	Show           func(ctx context.Context, q dialog.Question) (dialog.Answer, error)
	Stdin          io.Reader
	Stdout, Stderr io.Writer
}

func (p *Program) usage() string {
	return fmt.Sprintf(`Usage: %[1]s --request=CODE <QUESTION >ANSWER
       %[1]s --help | --version

%[2]s

The service starts it as a task of kind UserDesktop, in the session of whoever is
asked. It reads one line of JSON, which says what to ask, shows a dialog, and prints
one line of JSON, which says what was answered; the service verifies that. It closes
itself when its standard input ends. It has no authority: an answer that it prints for
somebody else goes nowhere.

Exit status: 0, an answer was printed; 1, nothing could be asked; 2, the command line
or the question is wrong.

Examples:
  echo '{"kind":"%[3]s","code":"ABCDEF","program":"/usr/bin/id","target":"root","commandLine":"id","text":"Try it"}' |
    %[1]s --request=ABCDEF
`, p.Name, p.About, p.Kinds[0])
}

// Main runs the dialog with args and returns the exit status.
func (p *Program) Main(ctx context.Context, args []string) int {
	code := ""
	switch {
	case len(args) == 1 && (args[0] == "--help" || args[0] == "-h"):
		fmt.Fprint(p.Stdout, p.usage())
		return exitOK
	case len(args) == 1 && args[0] == "--version":
		fmt.Fprintln(p.Stdout, p.Name, p.Version)
		return exitOK
	case len(args) == 1 && strings.HasPrefix(args[0], "--request="):
		code = strings.TrimPrefix(args[0], "--request=")
	default:
		fmt.Fprint(p.Stderr, p.usage())
		return exitUsage
	}
	q, err := dialog.ReadQuestion(p.Stdin)
	switch {
	case err != nil:
		fmt.Fprintf(p.Stderr, "%s: %v\n", p.Name, err)
		return exitUsage
	case q.Code != code || !slices.Contains(p.Kinds, q.Kind):
		fmt.Fprintf(p.Stderr, "%s: found a question of kind %s for %s, expected kind %s for %s\n", p.Name, q.Kind, q.Code, p.Kinds[0], code)
		return exitUsage
	}
	// Whoever has asked keeps its end open for as long as it wants to know.
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() { // which ends with the input
		_, _ = io.Copy(io.Discard, p.Stdin)
		cancel()
	}()
	answer, err := p.Show(ctx, q)
	if err == nil {
		err = answer.Write(p.Stdout)
	}
	if err != nil {
		fmt.Fprintf(p.Stderr, "%s: %v\n", p.Name, err)
		return exitFault
	}
	return exitOK
}
