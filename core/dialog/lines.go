package dialog

import "strings"

// Title is the title of every dialog's window. The code is in it, so that two windows
// can be told apart in a list of windows too.
func (q *Question) Title() string { return "Keeper Privilege Manager - " + q.Code }

// Lines is what a dialog shows, one line for each thing, then what is asked. Its first
// line is the same for every question of a kind: programs that guess from it whether a
// text is markup find that it is none.
//
// Attack: a command's arguments look like lines of the dialog. Each text is one line,
// behind a word that says what it is.
func (q *Question) Lines() []string {
	lines := []string{"A program asks to run with other rights."}
	switch q.Kind {
	case KindNotice:
		return []string{"Keeper Privilege Manager:", q.Text}
	case KindRequest:
		lines[0] = "A program asks to run with other rights, which needs an approval."
	case KindDecision:
		lines[0] = "Somebody asks for your approval."
	}
	add := func(name, text string) {
		if text != "" {
			lines = append(lines, name+": "+text)
		}
	}
	add("Asked by", q.Requester)
	add("Program", q.Program)
	add("Runs as", q.Target)
	add("Command", q.CommandLine)
	add("In", q.Directory)
	add("On behalf of", q.Behind)
	add("Reason", q.Reason)
	if q.Kind == KindDecision {
		add("Approval", q.Code)
	} else {
		add("Request", q.Code)
	}
	return append(lines, "", q.Text)
}

// Body is Lines as one text.
func (q *Question) Body() string { return strings.Join(q.Lines(), "\n") }
