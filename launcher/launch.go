package launcher

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"

	"kpm/core"
	"kpm/core/port"
	"kpm/launcher/journal"
	"kpm/launcher/request"
)

// started is a command that runs.
type started struct {
	process port.Process
	group   string
}

// Launch starts what request id is about, on behalf of the job run that was
// started for it. The first Launch consumes the request, whatever becomes of
// it; later ones are conflicts. It returns when the program has been executed.
// Errors wrap request.ErrUnknown, request.ErrConflict, ErrNotPermitted,
// ErrRedirected, or say why the program could not be started.
func (l *Launcher) Launch(ctx context.Context, from core.Principal, id core.RequestID) error {
	return l.launch(ctx, from, id, nil)
}

// launch is Launch. place, if not nil, says where the command runs, once the request is
// consumed.
func (l *Launcher) launch(ctx context.Context, from core.Principal, id core.RequestID, place func(*elevation) error) error {
	e, err := l.launchable(from, id)
	if err != nil {
		return fmt.Errorf("launcher: launch: %w", err)
	}
	switch _, redirected, err := l.redirected(e); {
	case err != nil:
		return fmt.Errorf("launcher: launch: %w", err)
	case redirected:
		return fmt.Errorf("launcher: launch: %w", ErrRedirected)
	}
	if err := e.req.Apply(request.Fact{Cause: request.Launch, By: from}); err != nil {
		return fmt.Errorf("launcher: launch: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, l.limits().Launch)
	defer cancel()
	p, err := l.start(ctx, e, l.placing(e, from, place))
	if err != nil {
		l.cfg.Log.Error("launch", "request", id, "error", err)
		if core.OutOfResources(err) {
			l.mu.Lock()
			e.exhausted = true
			l.mu.Unlock()
		}
		l.apply(e, notStarted(err))
		// What was not found or permitted here is not the request.
		return fmt.Errorf("launcher: launch: %w", core.WithKind(placeKind(err), err))
	}
	e.started <- p // has room, and Elevate waits for it or will
	return nil
}

// launchable finds the request that a run of the launch job was started for.
func (l *Launcher) launchable(from core.Principal, id core.RequestID) (*elevation, error) {
	e, err := l.find(id)
	if err != nil {
		return nil, err
	}
	if from.Kind != core.JobRun || from.Request != id || from.Name != l.cfg.LaunchJob || e.file {
		return nil, fmt.Errorf("by %s, only %s of this request may: %w", from, l.cfg.LaunchJob, ErrNotPermitted)
	}
	return e, nil
}

// notStarted words an error of start, for the caller and for the journal.
func notStarted(err error) request.Fact {
	const begins = "it could not be started: "
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return because("", begins+"it took too long", err)
	case errors.Is(err, journal.ErrUnavailable):
		return fact(request.Fault, begins+"the journal cannot be written") // nor this
	case core.OutOfResources(err):
		return because("", begins+core.ResourceFault(err), err)
	}
	return fact(request.Fault, begins+err.Error())
}

// start launches in two phases (decision 32): the child is held until the
// journal names it durably. It prepares itself while the journal is synced.
func (l *Launcher) start(ctx context.Context, e *elevation, place func(*elevation) error) (started, error) {
	if err := l.cfg.Sealer.Recheck(e.sealed); err != nil {
		return started{}, err
	}
	if place != nil {
		if err := place(e); err != nil {
			return started{}, err
		}
	}
	if err := l.lodge(ctx, e); err != nil {
		return started{}, err
	}
	argv, opened, err := l.arguments(e)
	if err != nil {
		return started{}, err
	}
	defer closeOpened(opened)
	screen, err := l.screen(e)
	if err != nil {
		return started{}, err
	}
	p, err := l.hold(ctx, e, port.LaunchSpec{
		Argv: argv, Opened: opened,
		Streams: screen.streams, Terminal: screen.controlling, Apart: screen.apart, Background: e.submitted.Background,
	}, screen.terminals())
	if err != nil {
		return started{}, errors.Join(err, closeAll(screen.terminals()))
	}
	return p, nil
}

// screen is where a command reads from and writes to: the caller's streams, and
// new terminals for those that are the caller's terminals.
type screen struct {
	streams     port.Streams
	controlling port.Terminal    // nil if the command has no terminal
	apart       [3]port.Terminal // of the streams that have another one
}

// terminals returns each terminal once, the controlling one first and the
// others in the order of the streams, which is how the caller tells them apart.
func (s screen) terminals() (list []port.Terminal) {
	for _, terminal := range append([]port.Terminal{s.controlling}, s.apart[:]...) {
		if terminal != nil && !slices.Contains(list, terminal) {
			list = append(list, terminal)
		}
	}
	return list
}

// screen makes the command's terminals, owned by the target user. Streams that
// are no terminal pass straight through. Attack: with the caller's own terminal
// a privileged program can be fed input, or feed it (CVE-2005-4890).
//
// The controlling one is made also where every stream goes elsewhere: programs
// ask for secrets at /dev/tty.
func (l *Launcher) screen(e *elevation) (_ screen, err error) {
	s := screen{streams: e.submitted.Streams}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("terminal: %w", err), closeAll(s.terminals()))
		}
	}()
	numbered, wanted := map[uint8]port.Terminal{}, e.submitted.Terminal
	for i, stream := range []**os.File{&s.streams.Input, &s.streams.Output, &s.streams.Error} {
		if !l.cfg.Terminals.IsTerminal(*stream) {
			continue
		}
		*stream, wanted = nil, true
		number := e.submitted.Apart[i]
		if number == 0 {
			continue
		}
		if numbered[number] == nil {
			if numbered[number], err = l.openTerminal(e); err != nil {
				return screen{}, err
			}
		}
		s.apart[i] = numbered[number]
	}
	if wanted {
		s.controlling, err = l.openTerminal(e)
	}
	return s, err
}

func (l *Launcher) openTerminal(e *elevation) (port.Terminal, error) {
	terminal, err := l.cfg.Terminals.Open(l.identity(e))
	if err != nil {
		return nil, err
	}
	if err := terminal.Resize(e.submitted.Rows, e.submitted.Columns); err != nil {
		return nil, errors.Join(err, terminal.Close())
	}
	return terminal, nil
}

// identity is as whom and where the command of e runs.
func (l *Launcher) identity(e *elevation) core.Identity {
	if where := l.where(e); where != nil {
		return core.Identity{RunAs: where.as, Account: e.sealed.Subject.Caller, Login: e.submitted.Peer.Login, Session: where.session}
	}
	return core.Identity{
		RunAs: core.AsUserElevated, Account: l.subject(e).Target, Login: e.submitted.Peer.Login, Session: e.submitted.Peer.Session,
	}
}

// hold prepares the child, makes the record of it durable, hands its terminals
// over, and lets it go. spec has its arguments and where it reads and writes. On
// an error nothing runs.
//
// The terminals come first: they are the caller's before the command can use
// them, so that a service which ends at any moment takes none of them along.
func (l *Launcher) hold(ctx context.Context, e *elevation, spec port.LaunchSpec, terminals []port.Terminal) (started, error) {
	s := e.sealed
	spec.Outlives = e.submitted.journalled() != nil // or nobody could come back
	spec.Executable, spec.Script, spec.Dir, spec.As = s.Handle, s.Script, e.submitted.Dir, l.identity(e)
	spec.Env = environment(l.cfg.Facts.BaseEnvironment, e.submitted.Env, l.subject(e), e.id)
	held, err := l.cfg.Launcher.Prepare(ctx, spec)
	if err != nil {
		return started{}, fmt.Errorf("prepare: %w", err)
	}
	// Before its first instruction: what it connects to must know it.
	l.cfg.Registry.RegisterElevated(held.ID(), held.Group())
	children, err := l.rule(ctx, e, held)
	if err == nil {
		err = e.req.Apply(request.Fact{Cause: request.Held, By: core.ServicePrincipal(), Child: held.ID(), Group: held.Group(), Children: children})
	}
	if err == nil {
		l.surrender(e, terminals)
		err = l.cfg.Journal.Sync(ctx)
	}
	if err != nil {
		held.Discard()
		l.abandon(e, held)
		return started{}, err
	}
	process, err := held.Release(ctx)
	if err != nil {
		l.abandon(e, held)
		return started{}, err
	}
	if children != nil {
		l.cfg.Children.Started(held.ID())
	}
	return started{process: process, group: held.Group()}, nil
}

// abandon forgets a child that has run nothing. Attack: it cannot be ended,
// since the kernel waits for a file system of the caller's; with each request
// one more of them would be there. So it keeps the slot of its request.
func (l *Launcher) abandon(e *elevation, held port.Held) {
	l.unregister(held.ID())
	if l.cfg.Tree.Alive(held.ID()) {
		l.mu.Lock()
		defer l.mu.Unlock()
		e.stuck = held.ID()
	}
}

// leave gives back the slot of a request, unless its child keeps it.
func (l *Launcher) leave(e *elevation, release func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if e != nil && e.stuck != (core.ProcessID{}) {
		l.stuck[e.stuck] = release
	} else {
		release()
	}
}

// free gives back the slots of children that have ended after all.
func (l *Launcher) free() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for id, release := range l.stuck {
		if !l.cfg.Tree.Alive(id) {
			delete(l.stuck, id)
			release()
		}
	}
}
