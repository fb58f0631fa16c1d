// Package control collects and verifies what policy asks for before a launch:
// one file for each control (core/controls has the table of what they are).
//
// A control only says whether its condition is met. What that means for a
// request is package launcher's business: it asks for a control only while the
// request requires it, records it, and moves the request.
package control

import (
	"context"
	"time"

	"kpm/core"
	"kpm/launcher/mfa"
)

// Control is one condition.
type Control interface {
	// Name is the control's name in policies.
	Name() core.Control
	// Command is the name of the built-in task command by which a job has it
	// collected.
	Command() string
	// Collect asks whoever has to be asked and makes sure that the answer
	// counts. It returns what the journal keeps of it, printable. The error is
	// a *Refused if the condition is not met, else why nobody could be asked.
	Collect(ctx context.Context, q Question) (record string, err error)
}

// Question is what a control may know and use.
type Question struct {
	// Request is the one that it is asked for.
	Request core.RequestID
	// Subject is what would run, for whom.
	Subject core.Subject
	// Seal is the digest of Subject. Login is whose login the caller comes from,
	// Session which session of theirs, each empty if nobody knows.
	Seal    string
	Login   core.UserID
	Session core.SessionID
	// Approvers are whom policies name.
	Approvers []core.ApprovalRule
	// Reason is the reason that was recorded for this request; empty if none was.
	// Given is one that was given for the same before, with which it waits for
	// approvers or was approved, and Offered one that came with the request.
	Reason, Given, Offered string
	// NonInteractive is true if the caller forbids asking them.
	NonInteractive bool
	// Origin is who is behind the request. What a control remembers, it remembers
	// for Origin.Key, and for nobody if that is empty.
	Origin core.Origin
	// What is what would run and as whom, with the request's code, so that two
	// prompts at once can be told apart. It is printable.
	What string
	// FileAccess is true if What is a file to be opened.
	FileAccess bool
	// Length is for how long that is asked for; 0 if that was not said.
	Length time.Duration
	// Policies are those that ask for it.
	Policies []core.PolicyRef
	// Place is where the person is; Anew has them asked, whatever is remembered
	// of it.
	Place mfa.Place
	Anew  bool
	// Ask asks the person who made the request, and returns the answer. Its
	// errors wrap core.ErrCancelled if they declined, context.DeadlineExceeded if
	// they took too long, or say that they are gone. The answer proves nothing but
	// what was typed: a program of the same user can type as well (decision 27).
	Ask func(ctx context.Context, p Prompt) (string, error)
	// Dialog says that Ask shows dialogs on the person's desktop.
	Dialog bool
}

// Prompt is one question. Its text is printable; if Secret is set, the answer is not
// shown while it is typed. Short is what is asked where the request is shown as well;
// Text if it is empty.
type Prompt struct {
	Text   string
	Short  string
	Secret bool
}

// Behind says in a prompt who is behind the request, if that is anything but the
// person at this terminal.
func (q Question) Behind() string {
	if q.Origin.By == core.ByUnknown || q.Origin.By == core.ByTerminal {
		return ""
	}
	return ", which is asked by " + q.Origin.String()
}

// Refused means that a control was not satisfied.
type Refused struct {
	// Message says why, in words that the person may be told.
	Message string
	// Late is true if nobody answered in time.
	Late bool
	// Approval is what it waits for, if approvers can still say yes.
	Approval string
}

// Error implements error.
func (r *Refused) Error() string { return r.Message }

// Dialogs are the programs that ask for a control on a person's desktop, by their
// published names (decision 36).
func Dialogs() map[string]core.Control {
	return map[string]core.Control{"KeeperMFA": core.ControlMFA, "KeeperJustification": core.ControlJustify, "KeeperApproval": core.ControlApproval}
}

// Bundled returns the controls that this service can verify, with what they verify
// answers by; reasons says what counts as a reason.
func Bundled(factors []mfa.Factor, memory Memory, approvals Approvals, reasons Justify) []Control {
	return []Control{reasons, MFA{factors, memory}, Approve{approvals}}
}

// doing and toDo say what q is about, before What.
func (q *Question) doing() string {
	if q.FileAccess {
		return "opening "
	}
	return "running "
}

func (q *Question) toDo() string {
	if q.FileAccess {
		return "to open "
	}
	return "to run "
}
