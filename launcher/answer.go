package launcher

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"kpm/core"
	"kpm/core/wire"
	"kpm/launcher/request"
)

// Answer takes KeeperPolicy's decision. It counts once, in state Evaluating,
// from that plugin, and for the sealed subject it was asked about
// (decision 25). Errors wrap request.ErrUnknown, request.ErrConflict or
// ErrNotPermitted; then nothing has changed and the deadline denies.
func (l *Launcher) Answer(from core.Principal, a wire.PolicyResponse) error {
	e, err := l.find(a.RequestID)
	if err != nil {
		return fmt.Errorf("launcher: answer: %w", err)
	}
	// Attack: an answer for one request replayed for another.
	if a.SealDigest != e.sealed.digest {
		return fmt.Errorf("launcher: answer: the seal digest is not that of request %s: %w", e.id, ErrNotPermitted)
	}
	f := request.Fact{By: from, Policies: a.Policies, Message: wire.Printable(a.Message)}
	required := gating(a.Controls)
	switch {
	case a.Decision == core.Allow && len(required) == 0:
		f.Cause = request.Allow
	case a.Decision == core.Pending && len(required) > 0:
		f.Cause, f.Controls = request.Pend, required
	case a.Decision == core.Deny:
		f.Cause = request.Deny
	default:
		// An ALLOW that demands something, a PENDING that demands nothing, or
		// a word that we do not know: it cannot have meant yes.
		f.Cause, f.Message = request.Deny, "the decision could not be understood"
	}
	if err := e.req.Apply(f); err != nil {
		return fmt.Errorf("launcher: answer: %w", err)
	}
	return nil
}

// gating returns the controls that stand between a request and its launch.
// Those that never do are left out (decision 29); one that we do not know stays
// in, is never satisfied, and so lets nothing pass.
func gating(list []core.Control) []core.Control {
	var required []core.Control
	for _, c := range list {
		switch c {
		case core.ControlNotify, core.ControlAudit, core.ControlRecord, core.ControlAllow:
		default:
			required = append(required, c)
		}
	}
	slices.Sort(required)
	return slices.Compact(required)
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

// maxReason bounds a justification, in characters.
const maxReason = 1000

// Justify asks the person behind request id for a reason and records control
// JUSTIFY, if policy requires it and it is not recorded yet. run is the job run
// that was started for the request. A person who declines, cannot be asked, or
// gives no reason has refused.
func (l *Launcher) Justify(ctx context.Context, run core.Principal, id core.RequestID) error {
	err := l.justify(ctx, run, id)
	if err != nil {
		return fmt.Errorf("launcher: justify: %w", err)
	}
	return nil
}

func (l *Launcher) justify(ctx context.Context, run core.Principal, id core.RequestID) error {
	e, err := l.find(id)
	if err != nil {
		return err
	}
	if run.Kind != core.JobRun || run.Request != id || run.InUserSession {
		return ErrNotPermitted
	}
	if !e.prompting.TryLock() {
		return fmt.Errorf("the person is being asked already: %w", request.ErrConflict)
	}
	defer e.prompting.Unlock()
	if state, _, _ := e.req.View(); state != request.Pending {
		return fmt.Errorf("it is %s: %w", state, request.ErrConflict)
	}
	if !slices.Contains(e.req.Missing(), core.ControlJustify) {
		return nil
	}
	refused := func(why string) error {
		return errors.Join(errors.New(why), e.req.Apply(request.Fact{Cause: request.Refused, By: run, Message: why}))
	}
	if e.knock.NonInteractive {
		return refused("policy asks for a reason, and -n forbids asking you for it: run it without -n")
	}
	subject := e.sealed.subject
	question := fmt.Sprintf("Reason for running %s as %s: ", subject.Executable.Path, subject.Target.Name)
	reason, err := e.caller.Prompt(ctx, wire.Printable(question), l.cfg.Limits.Prompt)
	switch {
	case errors.Is(err, core.ErrCancelled):
		return refused("you gave no reason")
	case errors.Is(err, context.DeadlineExceeded):
		late := fact(request.Timeout, "no reason was given")
		late.In = request.Pending
		return errors.Join(err, e.req.Apply(late))
	case err != nil: // the caller is gone: Elevate knows
		return err
	}
	reason = wire.Printable(strings.TrimSpace(reason))
	switch {
	case !strings.ContainsFunc(reason, func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }):
		return refused("you gave no reason")
	case utf8.RuneCountInString(reason) > maxReason:
		return refused(fmt.Sprintf("your reason is longer than %d characters", maxReason))
	}
	return e.req.Satisfy(request.Fact{By: run, Controls: []core.Control{core.ControlJustify}, Message: reason})
}

// EventUnhandled is told when no enabled job waits for an event.
func (l *Launcher) EventUnhandled(event string, id core.RequestID) {
	l.undone(event, id, fmt.Sprintf("no enabled job handles %s", event))
}

// JobEnded is told when a run that an event started has ended. If it is the job
// that the request waits for and it has not done its part, the request fails at
// once instead of at its deadline. Other jobs may listen to the same event.
func (l *Launcher) JobEnded(run core.Principal, event string, err error) {
	switch {
	case event == wire.EventLaunch && run.Name == l.cfg.LaunchJob:
	case event == wire.EventPolicyEvaluationPending && run.Name == l.cfg.ControlJob:
	default:
		return
	}
	if err != nil {
		l.cfg.Log.Warn("job failed", "job", run.Name, "run", run.Run, "request", run.Request, "error", err)
	}
	l.undone(event, run.Request, fmt.Sprintf("job %s ended without doing its part", run.Name))
}

// undone fails a request that still is where the event found it.
func (l *Launcher) undone(event string, id core.RequestID, message string) {
	f := fact(request.Fault, message)
	switch event {
	case wire.EventLaunch:
		f.In = request.Allowed
	case wire.EventPolicyEvaluationPending:
		f.In = request.Pending
	default:
		return
	}
	if e, err := l.find(id); err == nil { // else it has ended
		l.apply(e, f)
	}
}

// PolicyLost is told when the policy plugin's process has ended. Questions that
// it may have taken with it are asked once more when it is back, within their
// deadline (decision 31).
func (l *Launcher) PolicyLost() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.policyDown = true
	for _, e := range l.active {
		e.unheard = true
	}
}

// PolicyReady is told when the policy plugin takes questions (again).
func (l *Launcher) PolicyReady() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.policyDown = false
	for _, e := range l.active {
		state, _, _ := e.req.View()
		if !e.unheard || e.repeated || state != request.Evaluating {
			continue
		}
		e.repeated = true
		e.again <- struct{}{} // has room: once per request
	}
}
