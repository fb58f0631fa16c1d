package launcher

import (
	"context"
	"errors"
	"os"
	"sync"
	"time"

	"kpm/core"
	"kpm/core/door"
	"kpm/core/port"
	"kpm/core/signal"
	"kpm/launcher/journal"
	"kpm/launcher/refusal"
	"kpm/launcher/request"
)

// exit is the end of a wait.
type exit struct {
	status core.ExitStatus
	err    error
}

// attend stays with a running command to its end. If the caller goes, the
// command is told, and ended after a grace; if the service stops, it is left to
// the next one.
func (l *Launcher) attend(ctx context.Context, e *elevation, p started, signals <-chan signal.Sent) Result {
	begun := time.Now()
	waitCtx, stopWaiting := context.WithCancel(context.Background())
	exited := make(chan exit, 1)
	var waiting sync.WaitGroup
	waiting.Go(func() {
		status, err := p.process.End(waitCtx)
		exited <- exit{status, err}
	})
	defer waiting.Wait()
	defer stopWaiting()

	gone, callerGone := ctx.Done(), false
	var grace <-chan time.Time
	for {
		select {
		case x := <-exited:
			return l.ended(e, p, x, time.Since(begun), callerGone)
		case sig := <-signals:
			l.forward(e, p, sig)
		case <-gone:
			gone, signals, callerGone = nil, nil, true
			l.signal(e, p, signal.Hangup)
			grace = time.After(l.cfg.Grace)
		case <-grace:
			l.kill(e, p)
		case <-l.detach:
			return l.detached(e, p, time.Since(begun))
		}
	}
}

// surrender hands the terminals of a command over to its caller, and keeps
// nothing of them. A caller who does not take them is gone: ctx ends too.
func (l *Launcher) surrender(e *elevation, terminals []port.Terminal) {
	if len(terminals) == 0 {
		return
	}
	if err := errors.Join(handOver(terminals, nil, e.caller.HandOver), closeAll(terminals)); err != nil {
		l.cfg.Log.Info("the caller did not take the command's terminals", "request", e.id, "error", err)
	}
}

// announce tells the caller that the command runs. One who cannot be told is
// gone: ctx ends too.
func (l *Launcher) announce(id core.RequestID, c Caller) {
	if err := c.Started(); err != nil {
		l.cfg.Log.Info("the caller could not be told that the command runs", "request", id, "error", err)
	}
}

// handOver sends what belongs to all of terminals at once, in their order.
func handOver(terminals []port.Terminal, sent []*os.File, send func(...*os.File) error) error {
	if len(terminals) == 0 {
		return send(sent...)
	}
	return terminals[0].HandOver(func(files ...*os.File) error {
		return handOver(terminals[1:], append(sent, files...), send)
	})
}

func closeAll(terminals []port.Terminal) (err error) {
	for _, terminal := range terminals {
		err = errors.Join(err, terminal.Close())
	}
	return err
}

// forward tells the command what the caller was told, but not what the command
// itself has sent: "keepersudo pkill -u $USER" would end before it has done its
// work. A command leads a session of its own. By is the caller's word; with a
// false one they miss a signal.
func (l *Launcher) forward(e *elevation, p started, sent signal.Sent) {
	if sent.By != 0 && sent.By == uint32(p.process.ID().PID) {
		l.cfg.Log.Debug("the command's own signal", "request", e.id, "signal", sent.Signal)
		return
	}
	l.signal(e, p, sent.Signal)
}

// signal tells the command. A signal that comes too late is no fault.
func (l *Launcher) signal(e *elevation, p started, sig signal.Signal) {
	if err := p.process.Signal(sig); err != nil {
		l.cfg.Log.Debug("signal", "request", e.id, "signal", sig, "error", err)
	}
}

func (l *Launcher) kill(e *elevation, p started) {
	if err := p.process.Kill(); err != nil {
		l.cfg.Log.Warn("kill", "request", e.id, "process", p.process.ID(), "error", err)
	}
}

// ended closes the request of a command whose main process has ended. What it
// left in the background stays, as with sudo, unless its caller is gone.
func (l *Launcher) ended(e *elevation, p started, x exit, elapsed time.Duration, callerGone bool) Result {
	if callerGone {
		l.kill(e, p)
	}
	if x.err != nil {
		return l.unknown(e, p, x.err)
	}
	f := fact(request.Exited, "")
	f.Exit, f.Elapsed = &x.status, elapsed
	if err := e.req.Apply(f); err != nil {
		// It has run and ended: that the end could not be recorded does not
		// change what the caller needs to know.
		l.cfg.Log.Error("end without a record", "request", e.id, "error", err)
	}
	l.shut(e.submitted)
	l.tend(e, p)
	return Result{Exit: x.status}
}

// unknown closes the request of a command of which it cannot be said how it
// ended.
func (l *Launcher) unknown(e *elevation, p started, why error) Result {
	message := "how it ended is not known"
	if e.unreleased = errors.Is(why, port.ErrNotReleased); e.unreleased {
		message = "service-restarted: nothing has run"
	}
	l.cfg.Log.Warn("the end of a command", "request", e.id, "process", p.process.ID(), "error", why)
	f := because("", message, why)
	f.NotRun = e.unreleased
	l.apply(e, f)
	l.shut(e.submitted)
	l.tend(e, p)
	return Result{Refused: refusal.New(door.CodeFailed, "%s has run as process %d, and how it ended is not known. The journal has more under request %s",
		e.called, p.process.ID().PID, e.id)}
}

// detached leaves a command to the next service, which finds it in the journal,
// grants its processes no authority either, and says how it ended to whoever
// asks again. A service that is upgraded must not end what people have started
// (decision 32). Where nothing can be resumed, or the caller has sent no key, the
// request is closed.
func (l *Launcher) detached(e *elevation, p started, elapsed time.Duration) Result {
	if l.cfg.Facts.Resumes && (e.submitted == nil || e.submitted.journalled() != nil) {
		return Result{Later: true}
	}
	f := fact(request.Exited, "the service stopped, the command goes on")
	f.Elapsed = elapsed
	l.apply(e, f)
	l.recordLeft(e.id, childOf(p))
	return Result{Refused: refusal.New(door.CodeFailed,
		"the service is stopping; your command goes on as process %d, but how it ends will not be known", p.process.ID().PID)}
}

func childOf(p started) journal.Child {
	id := p.process.ID()
	return journal.Child{PID: id.PID, Start: id.Start, Group: p.group}
}

// append writes a record that nothing depends on.
func (l *Launcher) append(r journal.Record) {
	if err := l.cfg.Journal.Append(r); err != nil {
		l.cfg.Log.Error("record", "type", r.Type, "request", r.Request, "error", err)
	}
}
