package launcher

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"kpm/core"
	"kpm/core/dialog"
	"kpm/core/wire"
	"kpm/launcher/control"
	"kpm/launcher/request"
)

// Answer takes KeeperPolicy's decision. It counts once, in state Evaluating,
// from that plugin, and for the sealed subject it was asked about
// (decision 25). Errors wrap request.ErrUnknown, request.ErrConflict or
// ErrNotPermitted; then nothing has changed and the deadline denies.
func (l *Launcher) Answer(from core.Principal, a wire.PolicyResponse) error {
	if request.Policy.Is(from, "") {
		l.heardPolicy()
	}
	e, err := l.find(a.RequestID)
	if err != nil {
		return fmt.Errorf("launcher: answer: %w", err)
	}
	// Attack: an answer for one request replayed for another.
	if a.SealDigest != e.sealed.Digest {
		return fmt.Errorf("launcher: answer: the seal digest is not that of request %s: %w", e.id, ErrNotPermitted)
	}
	if !request.Policy.Is(from, "") {
		return fmt.Errorf("launcher: answer by %s: %w", from, ErrNotPermitted)
	}
	// Attack: KeeperPolicy is asked once more and answers twice, by other policies. What
	// the second answer says of the account, the session or the children is not decided.
	e.answering.Lock()
	defer e.answering.Unlock()
	if state, _, _ := e.req.View(); state != request.Evaluating {
		return fmt.Errorf("launcher: answer: request %s is %s: %w", e.id, state, request.ErrConflict)
	}
	f := request.Fact{By: from, Policies: a.Policies, Message: wire.Printable(a.Message), Monitored: a.Monitored}
	required := l.cfg.Table.Required(a.Controls)
	if slices.Contains(required, core.ControlApproval) {
		// An approver decides on what somebody wants it for.
		required = l.cfg.Table.Required(append(required, core.ControlJustify))
	}
	approvals, known := approvalRules(a.Approvals)
	switch {
	case !known:
		f.Cause, f.Message = request.Deny, "the decision could not be understood"
	case !pathsFit(a.Paths, e.sealed.Subject.Argv):
		f.Cause, f.Message = request.Deny, "the decision could not be understood"
	case a.Decision == core.Allow && len(required) == 0:
		f.Cause = request.Allow
	case a.Decision == core.Pending && len(required) > 0:
		f.Cause, f.Controls, f.Approvals = request.Pend, required, approvals
		if unbuilt := l.unverified(required); len(unbuilt) > 0 {
			// To ask for the others first would be to waste a person's time.
			f.Cause, f.Controls = request.Deny, nil
			f.Message = fmt.Sprintf("%s, which nothing on this machine can verify yet. Ask the person who manages this machine's policies for another control.", demanded(unbuilt, a.Policies))
		}
	case a.Decision == core.Deny:
		f.Cause = request.Deny
	default:
		// An ALLOW that demands something, a PENDING that demands nothing, or
		// a word that we do not know: it cannot have meant yes.
		f.Cause, f.Message = request.Deny, "the decision could not be understood"
	}
	if err := l.unruly(a.Children); err != nil && f.Cause != request.Deny {
		f.Cause, f.Controls = request.Deny, nil
		f.Message = fmt.Sprintf("policy has a rule for what it may start (%s), and this machine cannot keep it: %s. Ask the person who manages this machine to switch that on, or for another policy", wire.Printable(a.Children), wire.PrintableLine(err.Error()))
	}
	if f.Cause != request.Deny {
		f.Paths = a.Paths
		l.note(e, func() { e.children, e.satisfied = stricter(e.children, a.Children), required })
	}
	if e.insteadOf != nil {
		f = e.insteadOf.decides(f, a)
	}
	if f.Cause == request.Pend || f.Cause == request.Allow {
		l.useGrants(e, a.Demands, &f)
	}
	l.mu.Lock()
	e.account, e.session = a.Account, a.Session
	l.mu.Unlock()
	l.noteLongest(e, a.Demands)
	l.watched(e, a.Monitored)
	if err := e.req.Apply(f); err != nil {
		return fmt.Errorf("launcher: answer: %w", err)
	}
	return nil
}

// maxScheduleText bounds a schedule in words, in bytes.
const maxScheduleText = 1024

// approvalRules checks whom a decision wants to approve. One that does not say means
// administrators.
func approvalRules(rules []core.ApprovalRule) ([]core.ApprovalRule, bool) {
	if len(rules) == 0 {
		return []core.ApprovalRule{{Number: 1}}, true
	}
	return rules, len(rules) <= core.MaxApprovalRules && !slices.ContainsFunc(rules, func(r core.ApprovalRule) bool {
		return r.Number < 1 || max(r.Number, len(r.Users), len(r.EscalatedUsers)) > core.MaxApprovers || max(len(r.Groups), len(r.EscalatedGroups)) > 2*core.MaxApprovers ||
			r.Automatic != nil && (r.Automatic.Until <= 0 || len(r.Automatic.Schedule) > maxScheduleText)
	})
}

// unverified returns the required controls that this service cannot verify.
func (l *Launcher) unverified(required []core.Control) (list []core.Control) {
	for _, name := range required {
		if !slices.ContainsFunc(l.cfg.Controls, func(c control.Control) bool { return c.Name() == name }) {
			list = append(list, name)
		}
	}
	return list
}

// demanded says who asks for which controls.
func demanded(controls []core.Control, by []core.PolicyRef) string {
	names := make([]string, len(controls))
	for i, c := range controls {
		names[i] = wire.Printable(string(c))
	}
	asked := strings.Join(names, " and ")
	if len(by) != 1 { // of several it is not known which
		return "policy asks for " + asked
	}
	return fmt.Sprintf("policy %q asks for %s", wire.Printable(cmp.Or(by[0].Name, by[0].ID)), asked)
}

// Refuse denies a pending request on behalf of the job run that was started for
// it. message is shown to the person.
func (l *Launcher) Refuse(from core.Principal, id core.RequestID, message string) error {
	e, err := l.find(id)
	if err == nil {
		err = e.req.Apply(request.Fact{Cause: request.Refused, By: from, Message: wire.Printable(message)})
	}
	if err != nil {
		return fmt.Errorf("launcher: refuse: %w", err)
	}
	return nil
}

// Satisfy has one control collected for request id, and records it, if policy
// requires it and it is not recorded yet. run is the job run that was started
// for the request. Errors wrap request.ErrUnknown, request.ErrConflict or
// ErrNotPermitted, or say why the control was not satisfied.
func (l *Launcher) Satisfy(ctx context.Context, run core.Principal, id core.RequestID, name core.Control) error {
	return l.SatisfyBy(ctx, run, id, name, nil)
}

// SatisfyBy is Satisfy, with whoever made the request asked by dialogs that show shows
// on their desktop. An answer is verified like one that was typed at a terminal. Where
// nobody can be asked in this way, the request is as it was.
func (l *Launcher) SatisfyBy(ctx context.Context, run core.Principal, id core.RequestID, name core.Control, show dialog.Show) error {
	if err := l.satisfy(ctx, run, id, name, show); err != nil {
		return fmt.Errorf("launcher: control %s: %w", name, err)
	}
	return nil
}

func (l *Launcher) satisfy(ctx context.Context, run core.Principal, id core.RequestID, name core.Control, show dialog.Show) error {
	e, err := l.find(id)
	if err != nil {
		return err
	}
	if run.Kind != core.JobRun || run.Request != id || run.InUserSession {
		return ErrNotPermitted
	}
	verifier := l.verifier(name)
	if verifier == nil {
		return fmt.Errorf("nothing here verifies it: %w", errors.ErrUnsupported)
	}
	if !e.prompting.TryLock() {
		return fmt.Errorf("the person is being asked already: %w", request.ErrConflict)
	}
	defer e.prompting.Unlock()
	state, last, _ := e.req.View()
	if state != request.Pending {
		return fmt.Errorf("it is %s: %w", state, request.ErrConflict)
	}
	if !slices.Contains(e.req.Missing(), name) {
		return nil
	}
	q := l.question(e, last)
	q.Ask = l.atTerminal(e, name)
	if show != nil {
		q.Ask, q.Dialog = l.onDesktop(e, name, show), true
	}
	record, err := verifier.Collect(ctx, q)
	var refused *control.Refused
	switch {
	case errors.As(err, &refused) && refused.Late:
		late := fact(request.Timeout, refused.Message+l.unseen(e))
		late.In = request.Pending
		return errors.Join(err, e.req.Apply(late))
	case errors.As(err, &refused):
		l.note(e, func() { e.approval = refused.Approval })
		return errors.Join(err, e.req.Apply(request.Fact{Cause: request.Refused, By: run, Message: refused.Message + l.unseen(e)}))
	case err != nil: // the caller is gone: Elevate knows; or can be asked elsewhere
		l.noteUnseen(e, err)
		return err
	}
	if name == core.ControlJustify {
		l.note(e, func() { e.reason = record })
	}
	return e.req.Satisfy(request.Fact{By: run, Controls: []core.Control{name}, Message: record})
}

// question is what a control of e may know and use; last is what led to Pending.
func (l *Launcher) question(e *elevation, last request.Fact) control.Question {
	q := control.Question{
		Request: e.id, Subject: e.sealed.Subject, Origin: e.origin, Seal: e.sealed.Digest, Login: e.submitted.Peer.Login, Session: l.session(e),
		What: l.what(e), Policies: last.Policies, Place: l.place(e.submitted), Anew: e.submitted.Anew,
		Approvers: e.req.Approvals(), NonInteractive: e.submitted.NonInteractive, Offered: e.submitted.Reason, FileAccess: e.file, Length: e.submitted.For,
	}
	l.note(e, func() { q.Reason = e.reason })
	if l.cfg.Approvals != nil && slices.Contains(e.req.Missing(), core.ControlApproval) {
		// What was approved, or waits for it, has a reason: nobody is asked twice.
		w := q.Want()
		if there, ok := l.cfg.Approvals.For(&w); ok {
			q.Given = there.Justification
		}
	}
	return q
}

// note reads or writes what Launcher.mu guards of e.
func (l *Launcher) note(_ *elevation, f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f()
}

// verifier returns what collects a control, nil if nothing does.
func (l *Launcher) verifier(name core.Control) control.Control {
	for _, c := range l.cfg.Controls {
		if c.Name() == name {
			return c
		}
	}
	return nil
}

// EventUnhandled is told when no enabled job waits for an event.
func (l *Launcher) EventUnhandled(event string, id core.RequestID) {
	l.undone(event, id, fmt.Sprintf("no enabled job handles %s", event), nil)
}

// JobEnded is told when a run that an event started has ended. If it is the job
// that the request waits for and it has not done its part, the request fails at
// once instead of at its deadline. Other jobs may listen to the same event.
func (l *Launcher) JobEnded(run core.Principal, event string, err error) {
	switch {
	case event == wire.EventLaunch && run.Name == l.cfg.LaunchJob:
	case event == wire.EventLaunchFileAccess && run.Name == fileLaunchJob:
	case event == wire.EventPolicyEvaluationPending && run.Name == l.controlJob(run.Request):
	default:
		return
	}
	if err != nil {
		l.cfg.Log.Warn("job failed", "job", run.Name, "run", run.Run, "request", run.Request, "error", err)
	}
	l.undone(event, run.Request, fmt.Sprintf("job %s ended without doing its part", run.Name), err)
}

// undone fails a request that still is where the event found it.
func (l *Launcher) undone(event string, id core.RequestID, message string, why error) {
	f := because(request.Allowed, message, why)
	switch event {
	case wire.EventLaunch, wire.EventLaunchFileAccess:
	case wire.EventPolicyEvaluationPending:
		f.In = request.Pending
	default:
		return
	}
	if e, err := l.find(id); err == nil { // else it has ended
		l.apply(e, f)
	}
}
