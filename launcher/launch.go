package launcher

import (
	"context"
	"errors"
	"fmt"
	"os"

	"kpm/core"
	"kpm/core/port"
	"kpm/launcher/journal"
	"kpm/launcher/request"
)

// started is a command that runs.
type started struct {
	process  port.Process
	group    string
	terminal port.Terminal // nil if it has none
}

// Launch starts what request id is about, on behalf of the job run that was
// started for it. The first Launch consumes the request, whatever becomes of
// it; later ones are conflicts. It returns when the program has been executed.
// Errors wrap request.ErrUnknown, request.ErrConflict, ErrNotPermitted, or say
// why the program could not be started.
func (l *Launcher) Launch(ctx context.Context, from core.Principal, id core.RequestID) error {
	e, err := l.find(id)
	if err != nil {
		return fmt.Errorf("launcher: launch: %w", err)
	}
	if from.Kind != core.JobRun || from.Request != id || from.Name != l.cfg.LaunchJob {
		return fmt.Errorf("launcher: launch by %s, only %s of this request may: %w", from, l.cfg.LaunchJob, ErrNotPermitted)
	}
	if err := e.req.Apply(request.Fact{Cause: request.Launch, By: from}); err != nil {
		return fmt.Errorf("launcher: launch: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, l.cfg.Limits.Launch)
	defer cancel()
	p, err := l.start(ctx, e)
	if err != nil {
		l.cfg.Log.Error("launch", "request", id, "error", err)
		if core.OutOfResources(err) {
			l.mu.Lock()
			e.exhausted = true
			l.mu.Unlock()
		}
		l.apply(e, fact(request.Fault, "it could not be started: "+startFault(err)))
		// What was not found or permitted here is not the request.
		return fmt.Errorf("launcher: launch: %w", core.WithKind(core.Internal, err))
	}
	e.started <- p // has room, and Elevate waits for it or will
	return nil
}

// startFault words an error of start for the caller.
func startFault(err error) string {
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return "it took too long"
	case errors.Is(err, journal.ErrUnavailable):
		return "the journal cannot be written"
	case core.OutOfResources(err):
		return core.ResourceFault(err)
	}
	return err.Error()
}

// start launches in two phases (decision 32): the child is held until the
// journal names it durably. It prepares itself while the journal is synced.
func (l *Launcher) start(ctx context.Context, e *elevation) (started, error) {
	if err := l.cfg.Sealer.Recheck(e.sealed); err != nil {
		return started{}, err
	}
	streams, terminal, err := l.terminal(e)
	if err != nil {
		return started{}, err
	}
	p, err := l.hold(ctx, e, streams, terminal)
	if err != nil && terminal != nil {
		err = errors.Join(err, terminal.Close())
	}
	if err != nil {
		return started{}, err
	}
	p.terminal = terminal
	return p, nil
}

// terminal returns the child's streams. Those that are the caller's terminal are
// left out and so become a new one, owned by the target user; the others pass
// straight through. Attack: with the caller's own terminal a privileged program
// can be fed input, or feed it (CVE-2005-4890).
func (l *Launcher) terminal(e *elevation) (port.Streams, port.Terminal, error) {
	streams := e.submitted.Streams
	wanted := false
	for _, stream := range []**os.File{&streams.Input, &streams.Output, &streams.Error} {
		if l.cfg.Terminals.IsTerminal(*stream) {
			*stream, wanted = nil, true
		}
	}
	if !wanted {
		return streams, nil, nil
	}
	terminal, err := l.cfg.Terminals.Open(l.identity(e))
	if err != nil {
		return streams, nil, fmt.Errorf("terminal: %w", err)
	}
	if err := terminal.Resize(e.submitted.Rows, e.submitted.Columns); err != nil {
		return streams, nil, errors.Join(fmt.Errorf("terminal: %w", err), terminal.Close())
	}
	return streams, terminal, nil
}

// identity is as whom and where the command of e runs.
func (l *Launcher) identity(e *elevation) core.Identity {
	return core.Identity{RunAs: core.AsUserElevated, Account: e.sealed.Subject.Target}
}

// hold prepares the child, makes the record of it durable, and lets it go. On
// an error nothing runs.
func (l *Launcher) hold(ctx context.Context, e *elevation, streams port.Streams, terminal port.Terminal) (started, error) {
	s := e.sealed
	held, err := l.cfg.Launcher.Prepare(ctx, port.LaunchSpec{
		Executable: s.Handle, Script: s.Script, Argv: s.Subject.Argv,
		Env: environment(l.cfg.Facts.BaseEnvironment, e.submitted.Env, s.Subject, e.id),
		Dir: e.submitted.Dir, Streams: streams, Terminal: terminal, As: l.identity(e),
	})
	if err != nil {
		return started{}, fmt.Errorf("prepare: %w", err)
	}
	// Before its first instruction: what it connects to must know it.
	l.cfg.Registry.RegisterElevated(held.ID(), held.Group())
	err = e.req.Apply(request.Fact{Cause: request.Held, By: core.ServicePrincipal(), Child: held.ID(), Group: held.Group()})
	if err == nil {
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
		return started{}, fmt.Errorf("execute: %w", err)
	}
	return started{process: process, group: held.Group()}, nil
}

// abandon forgets a child that has run nothing. Attack: it cannot be ended,
// since the kernel waits for a file system of the caller's; with each request
// one more of them would be there. So it keeps the slot of its request.
func (l *Launcher) abandon(e *elevation, held port.Held) {
	l.cfg.Registry.Remove(held.ID())
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
