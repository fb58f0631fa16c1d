package control

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"kpm/core"
	"kpm/core/wire"
	"kpm/launcher/approval"
)

// Approvals is where approvers are asked. approval.Book is one.
type Approvals interface {
	// Use uses up the approval of w; the error wraps approval.ErrNone if there is
	// none.
	Use(w *approval.Want, request core.RequestID) (approval.Record, error)
	// Ask puts w before its approvers, unless it waits there already, or has it approved
	// if the schedules of policies say so; the error wraps core.TooMany if there is no
	// room.
	Ask(w approval.Want, justification string) (approval.Record, error)
	// Whom says who can decide on w.
	Whom(w *approval.Want) string
}

// Approve is APPROVAL: approvers whom the policy names agree. Nobody waits here: a
// request without an approval is refused, and a later one that is the same uses the
// approval up (decision 31). On a desktop the person who made it is asked first whether
// to ask them.
type Approve struct{ Approvals Approvals }

var _ Control = Approve{}

// Name implements Control.
func (Approve) Name() core.Control { return core.ControlApproval }

// Command implements Control. It is not called prompt-approval: the requester's own
// session never records it (decision 28a).
func (Approve) Command() string { return "await-approval" }

// Collect implements Control.
func (a Approve) Collect(ctx context.Context, q Question) (string, error) {
	w := q.Want()
	if n := w.Bytes(); n > approval.MaxCommand {
		return "", &Refused{Message: fmt.Sprintf("its command line has %d bytes, more than an approver can look at (%d)", n, approval.MaxCommand)}
	}
	r, err := a.Approvals.Use(&w, q.Request)
	switch {
	case err == nil:
		return describe(r), nil
	case !errors.Is(err, approval.ErrNone):
		return "", err
	}
	reason := cmp.Or(q.Reason, q.Given)
	if reason == "" {
		return "", &Refused{Message: "nobody approves without a reason, and none was asked for: tell whoever writes the jobs"}
	}
	if q.Dialog && q.Given == "" && !w.Automatic() {
		_, err := q.Ask(ctx, Prompt{Short: wire.Printable("Ask for the approval of " + a.Approvals.Whom(&w) + "?")})
		switch {
		case errors.Is(err, core.ErrCancelled):
			return "", &Refused{Message: "you asked for no approval"}
		case errors.Is(err, context.DeadlineExceeded):
			return "", &Refused{Message: "you asked for no approval", Late: true}
		case err != nil:
			return "", err
		}
	}
	r, err = a.Approvals.Ask(w, reason)
	switch {
	case core.KindOf(err) == core.TooMany:
		return "", &Refused{Message: "approval cannot be asked for: " + err.Error()}
	case err != nil:
		return "", err
	}
	if r.State == approval.Approved { // by a schedule
		if r, err = a.Approvals.Use(&w, q.Request); err == nil {
			return describe(r), nil
		}
		if !errors.Is(err, approval.ErrNone) {
			return "", err
		}
		return "", &Refused{Message: "its approval has been used by another request of yours: ask again"}
	}
	return "", &Refused{Approval: r.ID, Message: fmt.Sprintf("it waits for approval %s by %s", r.ID, a.Approvals.Whom(&r.Want))}
}

// Want is what q is about, for approvers.
func (q *Question) Want() approval.Want {
	s := q.Subject
	w := approval.Want{
		User: s.Caller.User, Name: s.Caller.Name, Login: q.Login, Target: s.Target.User, TargetName: s.Target.Name,
		Path: s.Executable.Path, Requested: s.Executable.Requested, Dir: s.Dir, Seal: q.Seal, Session: q.Session, Rules: q.Approvers,
	}
	if q.FileAccess {
		w.Kind, w.Length = approval.FileAccess, q.Length
	}
	for _, arg := range s.Argv {
		w.Argv = append(w.Argv, []byte(arg))
	}
	return w
}

// describe is what the journal has of an approval that was used.
func describe(r approval.Record) string {
	var by []string
	for _, d := range r.Decisions {
		if d.Cause == approval.Agree || d.Cause == approval.Approve || d.Cause == approval.Schedule {
			by = append(by, d.Name)
		}
	}
	return fmt.Sprintf("approval %s by %s: %s", r.ID, strings.Join(by, ", "), r.Justification)
}
