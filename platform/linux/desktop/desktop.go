// Package desktop turns a question into the command line of a program that Linux desktops
// have for showing dialogs, and what that program says into an answer. It runs nothing:
// everything here is tested without a desktop.
//
// What is entered comes on the program's standard output. What is shown is in its
// arguments, which other users of the machine can read meanwhile, as they can those of
// keepersudo; but for what an approver is shown, where the program can read that from its
// standard input.
package desktop

import (
	"strings"

	"kpm/core/dialog"
)

// Tool is one program that shows dialogs.
type Tool struct {
	// Path is where distributions have it; nothing else is looked for, and PATH is not
	// asked: it may lead to what a user has put there.
	Path string
	// Command returns its arguments for q, and what it reads.
	Command func(q *dialog.Question) (args []string, input string)
	// Answer is what it means by its exit status and what it printed.
	Answer func(kind dialog.Kind, status int, output string) dialog.Answer
}

// Tools are those that are known, the one that is asked first at the beginning.
func Tools() []Tool {
	return []Tool{
		{"/usr/bin/zenity", zenity, zenityAnswer},
		{"/usr/bin/kdialog", kdialog, kdialogAnswer},
		{"/usr/bin/yad", yad, yadAnswer},
	}
}

// Names of buttons. Deny is no way to close a window: who closes one has decided nothing.
const (
	approve = "Approve"
	deny    = "Deny"
	later   = "Later"
	askThem = "Ask"
	cancel  = "Cancel"
)

// doubled has backslashes stand for themselves: all three programs take \n for the end of
// a line.
//
// Attack: an argument with a backslash and an n goes on as another line of the dialog,
// such as "Program: /usr/bin/true".
func doubled(text string) string { return strings.ReplaceAll(text, `\`, `\\`) }

// entered is what was typed into a program that prints it with a line's end.
func entered(output string) dialog.Answer {
	return dialog.Answer{Outcome: dialog.Given, Text: strings.TrimSuffix(output, "\n")}
}

// noticeSeconds is for how long a notice is shown.
const noticeSeconds = "30"

var declined = dialog.Answer{Outcome: dialog.Declined}

// NoDisplay reports whether what a program has said on its standard error is that there
// is no desktop to show something on; all have one exit status for that and for Cancel.
func NoDisplay(said string) bool {
	said = strings.ToLower(said)
	for _, text := range []string{"cannot open display", "could not connect to display", "failed to open display"} {
		if strings.Contains(said, text) {
			return true
		}
	}
	return false
}
