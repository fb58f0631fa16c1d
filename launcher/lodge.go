package launcher

import (
	"context"
	"errors"
	"fmt"

	"kpm/core"
	"kpm/launcher/journal"
	"kpm/launcher/request"
)

// Transient makes accounts for one command each.
type Transient interface {
	// Make makes an account for a request of caller's, in groups. leave removes it
	// again, with every process of its, and does not wait.
	Make(ctx context.Context, request core.RequestID, caller core.Account, groups []string) (account core.Account, leave func(), err error)
}

// Errors of accounts that policy wants made and that are not.
var (
	errNoTransient  = core.NewError(core.Unsupported, "policy has it run as an account that is made for it, and none can be made on this machine")
	errNotForCopies = core.NewError(core.NotPermitted, "policy has it run as an account that is made for it, and that takes a program that administrators alone can change: others are copied for whom they run as")
)

// lodge makes the account that the command of e runs as, if policy wants one. It
// comes after the decision and before anything runs: nobody can have accounts made by
// asking.
func (l *Launcher) lodge(ctx context.Context, e *elevation) error {
	e.lodging.Lock()
	defer e.lodging.Unlock()
	l.mu.Lock()
	terms, made := e.account, e.as.User != ""
	l.mu.Unlock()
	switch {
	case terms == nil || made:
		return nil
	case l.cfg.Transient == nil:
		return errNoTransient
	case !e.sealed.Subject.Executable.Protected:
		return errNotForCopies
	}
	account, leave, err := l.cfg.Transient.Make(ctx, e.id, e.sealed.Subject.Caller, terms.Groups)
	if errors.Is(err, errors.ErrUnsupported) {
		return errNoTransient
	}
	if err != nil {
		return fmt.Errorf("the account that it is to run as: %w", err)
	}
	l.mu.Lock()
	e.as, e.leaveAs = account, leave
	l.mu.Unlock()
	return nil
}

// subject is what e is about, with the account that it runs as.
func (l *Launcher) subject(e *elevation) core.Subject {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := e.sealed.Subject
	if e.as.User != "" {
		s.Target = e.as
	}
	return s
}

// moveOut removes the account of e, with what still runs as it. The command of a
// service that stops goes on, as its account: a later service removes that when nothing
// runs as it.
func (l *Launcher) moveOut(e *elevation) {
	l.mu.Lock()
	leave := e.leaveAs
	e.leaveAs = nil
	closed := l.closed
	l.mu.Unlock()
	if leave == nil {
		return
	}
	if state, _, _ := e.req.View(); state == request.Running && closed {
		return
	}
	leave()
}

// RecordTransient writes into the journal that an account was made for a request, or is
// removed.
func RecordTransient(j *journal.Journal) func(core.RequestID, core.Account, core.Account, bool) error {
	return func(id core.RequestID, caller, account core.Account, made bool) error {
		r := journal.Record{
			Type: journal.AccountMade, Request: id, UserID: caller.User, User: caller.Name, TargetID: account.User, Target: account.Name,
			By: core.ServicePrincipal().String(),
		}
		if !made {
			r.Type = journal.AccountRemoved
		}
		if err := j.Append(r); err != nil {
			return fmt.Errorf("launcher: %w", err)
		}
		return nil
	}
}

// Lodge makes the account of request id, on behalf of the job run that was started to
// launch it, and returns its name; Launch does so otherwise. Errors are those of Launch,
// or say that policy wants no account for it.
func (l *Launcher) Lodge(ctx context.Context, from core.Principal, id core.RequestID) (string, error) {
	e, err := l.launchable(from, id)
	if err != nil {
		return "", fmt.Errorf("launcher: account: %w", err)
	}
	l.mu.Lock()
	terms := e.account
	l.mu.Unlock()
	if state, _, _ := e.req.View(); state != request.Allowed || terms == nil {
		return "", fmt.Errorf("launcher: account: it is not allowed, or policy has it run as somebody who is there: %w", request.ErrConflict)
	}
	ctx, cancel := context.WithTimeout(ctx, l.limits().Launch)
	defer cancel()
	if err := l.lodge(ctx, e); err != nil {
		return "", fmt.Errorf("launcher: account: %w", err)
	}
	return l.subject(e).Target.Name, nil
}
