package tool

import "kpm/core/dialog"

// Names of buttons.
const (
	approve = "Approve"
	deny    = "Deny"
	askThem = "Ask"
)

// ShowDialog returns what shows a question, and what it is told on its standard input.
// The button that Enter chooses decides nothing, where there is one that does.
func ShowDialog(q *dialog.Question) (argv []string, script string) {
	begin := `display dialog ` + Literal(q.Body()) + ` with title ` + Literal(q.Title())
	switch q.Kind {
	case dialog.KindNotice:
		script = `display notification ` + Literal(q.Text) + ` with title "Keeper Privilege Manager"`
	case dialog.KindDecision:
		script = `button returned of (` + begin + ` buttons {"` + deny + `", "` + approve + `", "Later"} default button "Later" cancel button "Later")`
	case dialog.KindRequest:
		script = `button returned of (` + begin + ` buttons {"` + askThem + `", "Cancel"} default button "Cancel" cancel button "Cancel")`
	default:
		hidden := ""
		if q.Secret {
			hidden = " with hidden answer"
		}
		script = `text returned of (` + begin + ` default answer ""` + hidden + ` buttons {"Cancel", "OK"} default button "OK" cancel button "Cancel")`
	}
	return []string{Osascript, "-"}, script + "\n"
}

// DialogAnswer is what is meant by what a dialog has returned.
func DialogAnswer(kind dialog.Kind, returned string) dialog.Answer {
	switch {
	case kind == dialog.KindDecision && returned == approve:
		return dialog.Answer{Outcome: dialog.Approved}
	case kind == dialog.KindDecision && returned == deny:
		return dialog.Answer{Outcome: dialog.Denied}
	case kind == dialog.KindRequest && returned == askThem:
		return dialog.Answer{Outcome: dialog.Given}
	case kind == dialog.KindCode || kind == dialog.KindReason:
		return dialog.Answer{Outcome: dialog.Given, Text: returned}
	}
	return dialog.Answer{Outcome: dialog.Declined}
}
