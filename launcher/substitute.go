package launcher

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"kpm/core"
	"kpm/core/port"
	"kpm/core/redirect"
	"kpm/core/wire"
	"kpm/launcher/request"
	"kpm/launcher/seal"
)

// Redirects say what is launched in place of what policy has allowed.
type Redirects interface {
	// Find returns what the rules have launched in place of s; false if they say nothing
	// of it. With an error nobody knows what they say, and nothing is launched.
	Find(s redirect.Subject) (redirect.Launch, bool, error)
}

// Errors of redirects.
var (
	ErrRedirected    = core.NewError(core.Conflict, "a redirect rule has another program launched in its place (/api/launch-substitute)")
	ErrNotRedirected = core.NewError(core.Conflict, "no redirect rule of Plugins/RedirectEvaluator.json is for this program")
)

// redirected asks the rules about a request.
//
// Attack: a job whose check for redirects was taken out, or whose task says that no rule
// matches, would launch what an administrator has replaced. So whoever launches asks, too.
func (l *Launcher) redirected(e *elevation) (redirect.Launch, bool, error) {
	if l.cfg.Redirects == nil {
		return redirect.Launch{}, false, nil
	}
	s := e.sealed.Subject
	instead, ok, err := l.cfg.Redirects.Find(redirect.Subject{Path: s.Executable.Path, Argv: wire.Shown(s.Argv), Administrator: s.Administrator})
	if err != nil {
		return instead, false, fmt.Errorf("the redirect rules cannot be followed: %w", core.WithKind(core.Internal, err))
	}
	return instead, ok, nil
}

// Substitute starts what a redirect rule names in place of what request id is about, on
// behalf of the job run that was started for it. That request is denied, and its caller
// told so. What starts is another request: of the same person, for the same target user,
// sealed and journalled like every other, which policy may deny. Nothing of what the
// caller handed over reaches it but the language and terminal variables. It returns when
// the program has been executed. Errors wrap request.ErrUnknown, request.ErrConflict,
// ErrNotPermitted, ErrNotRedirected, or say why it could not be started; then nothing runs.
func (l *Launcher) Substitute(ctx context.Context, from core.Principal, id core.RequestID) error {
	e, err := l.launchable(from, id)
	if err != nil {
		return fmt.Errorf("launcher: substitute: %w", err)
	}
	instead, ok, err := l.redirected(e)
	switch {
	case err != nil:
		return fmt.Errorf("launcher: substitute: %w", err)
	case !ok:
		return fmt.Errorf("launcher: substitute: %w", ErrNotRedirected)
	}
	// Attack: what policy lets run with the person's own rights alone, or those of an account
	// that is made for it, brings a program into being that has others.
	elsewhere := false
	l.note(e, func() { elsewhere = e.session != "" || e.account != nil })
	if elsewhere {
		return fmt.Errorf("launcher: substitute: policy has request %s run as somebody else than a rule launches programs as: %w", id, request.ErrConflict)
	}
	// Policy is asked about the other program only once it has allowed this one.
	if state, _, _ := e.req.View(); state != request.Allowed {
		return fmt.Errorf("launcher: substitute: request %s is %s: %w", id, state, request.ErrConflict)
	}
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return fmt.Errorf("launcher: substitute: the service is stopping: %w", request.ErrConflict)
	}
	l.elevations.Add(1)
	l.mu.Unlock()
	limits := l.limits()
	ctx, cancel := context.WithTimeout(ctx, limits.Evaluate+limits.Launch)
	defer cancel()
	if err := l.substitute(ctx, e, from, instead); err != nil {
		l.cfg.Log.Error("substitute", "request", id, "program", wire.Printable(instead.Path), "error", err)
		return fmt.Errorf("launcher: substitute: %w", core.WithKind(kindOf(err), err))
	}
	return nil
}

// kindOf is what an error of a launch is to who asked for it: a request that has moved on,
// or that policy has denied, is a conflict, and what was not found here is not the request.
func kindOf(err error) core.ErrorKind {
	if errors.Is(err, request.ErrConflict) || errors.Is(err, ErrNotPermitted) {
		return core.Conflict
	}
	return core.Internal
}

// substitute seals and starts the other program, and gives it to a goroutine that stays
// with it. The caller has counted it in elevations.
func (l *Launcher) substitute(ctx context.Context, e *elevation, from core.Principal, instead redirect.Launch) (err error) {
	started := false
	var undo []func()
	end := func() {
		for i := len(undo) - 1; i >= 0; i-- {
			undo[i]()
		}
		l.elevations.Done()
	}
	defer func() {
		if !started {
			end()
		}
	}()

	// It counts as a command of the person who asked.
	running, err := l.running.TryTake(e.person, 1)
	if err != nil {
		return fmt.Errorf("too many commands of this user run already: %w", err)
	}
	mine := &share{running: running}
	submitted, sealed, err := l.sealSubstitute(ctx, e, instead)
	if err != nil {
		mine.release()
		return err
	}
	var other *elevation
	undo = append(undo, func() { l.leave(other, mine.release) }, sealed.Close, func() { l.shut(submitted) })
	if err := l.charge(ctx, e.submitted.Peer.Payer(), sealed.Subject, recordBytes(sealed.Subject)); err != nil {
		return err
	}

	if other, err = l.open(submitted, sealed, nil, e); err != nil {
		return err
	}
	other.insteadOf.rule, other.share = instead.Rule, mine
	l.note(e, func() { other.children = e.children }) // what policy has said of what it allowed
	undo = append(undo, func() { l.forget(other) })
	denied := l.asksAboutSubstitute(ctx, other)
	// The one request ends before the other is launched: at no time does the caller have
	// both. Until here the rule keeps the one from being launched.
	message := fmt.Sprintf("policy has %s launched in its place", wire.Printable(instead.Path))
	if denied != nil {
		message = fmt.Sprintf("%s was to be launched in its place: %s", wire.Printable(instead.Path), denied)
	}
	err = errors.Join(denied, e.req.Apply(request.Fact{Cause: request.Redirected, By: from, Message: message}))
	if err != nil {
		l.apply(other, fact(request.Fault, "it is not launched: "+err.Error()))
		return err
	}
	if err := l.cfg.Sealer.Recheck(sealed); err != nil {
		l.apply(other, notStarted(err))
		return err
	}
	// No stream and no terminal: its caller is told that the request is denied, and goes.
	p, err := l.hold(ctx, other, port.LaunchSpec{Argv: sealed.Subject.Argv}, nil)
	if err != nil {
		l.apply(other, notStarted(err))
		return err
	}
	l.cfg.Log.Info("launched by a redirect rule", "request", other.id, "instead_of", e.id, "rule", instead.Rule, "program", sealed.Subject.Executable.Path)
	started = true
	go func() {
		defer end()
		l.attend(context.Background(), other, p, nil)
	}()
	return nil
}

// redirection is what a rule has launched, and in place of what.
type redirection struct {
	of   *elevation
	rule int
}

// decides is what policy's answer about the other program means, of which f is what it
// would mean for a request of the person's own. The rule is an administrator's, and enough
// where policy says nothing. Attack: a rule launches what somebody else has denied since
// it was written, or without the code that everybody is asked for, or as root what policy
// lets run with other rights alone.
func (r *redirection) decides(f request.Fact, a wire.PolicyResponse) request.Fact {
	satisfied := r.of.req.Satisfied()
	lacking := slices.DeleteFunc(slices.Clone(f.Controls), func(c core.Control) bool { return slices.Contains(satisfied, c) })
	by := fmt.Sprintf("rule %d of %s", r.rule, redirect.Setting)
	switch {
	case f.Cause != request.Deny && (a.Session != "" || a.Account != nil):
		f.Cause, f.Message = request.Deny, "policy has it run as somebody else than a rule launches programs as"
	case f.Cause == request.Allow,
		f.Cause == request.Pend && len(lacking) == 0,
		f.Cause == request.Deny && a.Decision == core.Deny && a.Uncovered && len(a.Policies) == 0:
		f.Cause, f.Message = request.Substitute, by
	case f.Cause == request.Pend:
		f.Cause, f.Message = request.Deny, demanded(lacking, a.Policies)+", which was not asked for before it was redirected"
	}
	f.Controls, f.Approvals, f.Paths = nil, nil, nil
	return f
}

// asksAboutSubstitute has policy decide on a request of a rule's, and says why it is not to
// be launched, if so. It ends with the request's deadline.
func (l *Launcher) asksAboutSubstitute(ctx context.Context, other *elevation) error {
	l.apply(other, fact(request.Asked, ""))
	l.ask(other)
	for {
		state, last, changed := other.req.View()
		if state != request.Evaluating {
			if state == request.Launching {
				return nil
			}
			return fmt.Errorf("%s: %w", cmp.Or(last.Message, string(state)), ErrNotPermitted)
		}
		select {
		case <-changed:
		case <-other.again:
			l.ask(other)
		case <-ctx.Done():
			l.apply(other, fact(request.Fault, "the job has gone"))
			return ctx.Err()
		}
	}
}

// sealSubstitute fixes the other program, which only administrators can change, as it and
// its folder are now.
func (l *Launcher) sealSubstitute(ctx context.Context, e *elevation, instead redirect.Launch) (*Submission, *seal.Sealed, error) {
	program, err := l.cfg.Sealer.Files.LocateProtected(instead.Path)
	if err != nil {
		return nil, nil, err
	}
	dir, err := l.cfg.Sealer.Files.LocateProtected(filepath.Dir(instead.Path))
	if err != nil {
		return nil, nil, errors.Join(err, program.Close())
	}
	submitted := &Submission{
		Request: seal.Request{
			Peer: e.submitted.Peer, Command: instead.Path, TargetUser: e.submitted.TargetUser, Dir: dir, Executable: program,
			Argv: append([]string{filepath.Base(instead.Path)}, instead.Args...),
		},
		Env: e.submitted.Env,
	}
	sealed, err := l.cfg.Sealer.Seal(ctx, &submitted.Request)
	if err == nil && !sealed.Subject.Executable.Protected {
		sealed.Close()
		err = fmt.Errorf("%s: %w", instead.Path, core.ErrNotProtected)
	}
	if err != nil {
		submitted.Close()
		return nil, nil, err
	}
	return submitted, sealed, nil
}
