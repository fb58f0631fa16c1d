package plugins

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"kpm/core"
	"kpm/core/port"
	"kpm/core/signal"
	"kpm/core/view"
)

// runOnce runs one process of p to its end. The error says how it ended; ran is
// false when there was no process.
func (o *Orchestrator) runOnce(ctx context.Context, p *plugin) (ran bool, err error) {
	spec, err := o.spec(p)
	if err != nil {
		return false, err
	}
	output, child, err := newOutputs()
	if err != nil {
		return false, err
	}
	spec.Stdout, spec.Stderr = child.out, child.err
	waiting, cut := context.WithCancelCause(ctx)
	defer cut(nil)
	p.logged.Store(false)
	o.change(func() {
		if !p.resigned { // or the reason of its last end would be lost
			p.state = view.Starting
		}
		p.subscribed, p.responds, p.asked, p.silent, p.started = false, false, false, false, time.Now()
		p.cut = cut
		p.patience = time.AfterFunc(readyWithin, func() { o.notReady(p) })
	})
	defer o.change(func() {
		p.patience.Stop()
		p.worked = p.responds
		p.cut, p.process, p.subscribed, p.responds = nil, nil, false, false
	})
	process, err := o.start(ctx, p, spec)
	child.close()
	if err != nil {
		output.finish(0)
		return false, err
	}
	o.change(func() {
		p.pid, p.process = process.ID().PID, process
		o.judge(p)
	})

	status, err := process.Wait(waiting)
	switch {
	case err == nil:
		err = ended(process, status)
	case waiting.Err() != nil:
		if err = context.Cause(waiting); !errors.Is(err, errSilent) {
			o.change(func() { p.state = view.Stopping })
			o.end(process)
		} else if killed := o.kill(process); killed != nil {
			err = fmt.Errorf("%w, and cannot be killed: %w", err, killed)
		}
	}
	// Whatever the plugin left running goes with it; there is nobody to
	// answer for it any more.
	if killErr := process.Kill(); killErr != nil {
		o.cfg.Log.Debug("nothing left to end", "plugin", p.id, "reason", killErr)
	}
	if o.cfg.Exited != nil {
		o.cfg.Exited(p.principal())
	}
	text, stderr := output.finish(tailWait)
	exit := err.Error()
	if errors.Is(err, context.Canceled) {
		exit = "it was stopped"
	}
	o.change(func() { p.lastExit, p.lastStderr = exit, stderr })
	if text != "" {
		err = &ending{err, text}
	}
	return true, err
}

// start starts p's process where its file says.
func (o *Orchestrator) start(ctx context.Context, p *plugin, spec core.ServiceSpec) (port.Process, error) {
	switch {
	case p.manifest.InProcess:
		return startPart(o.cfg.InProcess[p.id]), nil
	case p.session.ID != "":
		return o.cfg.Starter.StartInSession(ctx, spec, p.session)
	}
	return o.cfg.Starter.StartService(ctx, spec)
}

// ending is how a process ended, with what it said last.
type ending struct {
	how    error
	output string
}

func (e *ending) Error() string { return fmt.Sprintf("%v; its last output: %s", e.how, e.output) }
func (e *ending) Unwrap() error { return e.how }

// brief is err without what a process said, which is for administrators.
func brief(err error) string {
	var e *ending
	if errors.As(err, &e) {
		return e.how.Error()
	}
	return err.Error()
}

func (o *Orchestrator) spec(p *plugin) (core.ServiceSpec, error) {
	l, api := o.cfg.Layout, o.cfg.APIBaseURL()
	if p.manifest.InProcess {
		return core.ServiceSpec{As: p.principal()}, nil
	}
	path, err := resolve(l, o.cfg.Platform.ProgramSuffix(), p.manifest.Executable)
	if err != nil {
		return core.ServiceSpec{}, err
	}
	o.cfg.Log.Debug("plugin starts", "plugin", p.id, "program", path)
	argv := []string{path}
	for _, t := range p.manifest.Arguments {
		arg, err := expand(l, p.values(api), t)
		if err != nil {
			return core.ServiceSpec{}, err
		}
		argv = append(argv, arg)
	}
	return core.ServiceSpec{
		As:   p.principal(),
		Path: path, Argv: argv, Env: l.Environment(o.cfg.BaseEnvironment, api), Dir: l.Root(),
	}, nil
}

// notReady ends the wait for a plugin that runs without what its file promises.
// It may do its work all the same, so it is left alone.
func (o *Orchestrator) notReady(p *plugin) {
	o.change(func() {
		if missing := o.missing(p); p.state == view.Starting && missing != "" {
			p.state, p.resigned = view.Unhealthy, true
			p.lastError = fmt.Sprintf("%s within %v", missing, readyWithin)
		}
	})
}

// end ends a process that runs: it is asked first, and killed when it does not
// answer.
func (o *Orchestrator) end(process port.Process) {
	grace, cancel := context.WithTimeout(o.patient, stopGrace)
	defer cancel()
	if process.Signal(signal.Terminate) == nil {
		if _, err := process.Wait(grace); err == nil {
			return
		}
	}
	if err := o.kill(process); err != nil {
		o.cfg.Log.Warn("plugin process cannot be killed", "process", process.ID(), "error", err)
	}
}

// kill ends a process without asking, and waits until it is gone.
func (o *Orchestrator) kill(process port.Process) error {
	err := process.Kill()
	reap, cancel := context.WithTimeout(context.Background(), reapWithin)
	defer cancel()
	if _, gone := process.Wait(reap); gone != nil {
		return errors.Join(err, gone)
	}
	return nil
}

// permanent reports whether trying again cannot help. After a first start it may:
// the program may be about to be replaced.
func permanent(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, core.ErrNotProtected) || errors.Is(err, core.ErrNotRegular)
}

func ended(process port.Process, status core.ExitStatus) error {
	if one, is := process.(*part); is && one.failure != nil {
		return one.failure
	}
	if status.Signal != 0 {
		return fmt.Errorf("it was ended by signal %d", status.Signal)
	}
	return fmt.Errorf("it exited with status %d", status.Code)
}
