package plugins

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"kpm/core"
	"kpm/core/capture"
	"kpm/core/port"
	"kpm/core/signal"
	"kpm/core/view"
)

const (
	// readyWithin is how long a plugin may take from its start to its primary
	// subscription before it is Unhealthy and the next priority starts.
	readyWithin = 3 * time.Second
	// reconnectWithin is how long a plugin may be without the broker.
	reconnectWithin = 5 * time.Second
	// stopGrace is between SIGTERM and the kill.
	stopGrace = 2 * time.Second
	// reapWithin bounds the wait for a killed process.
	reapWithin = 5 * time.Second
	// tailBytes of a plugin's output are kept to explain its end, and are
	// waited for this long.
	tailBytes = 4 << 10
	tailWait  = 100 * time.Millisecond
)

// Why a process is ended by its supervisor.
var (
	errUnresponsive = errors.New("it did not reconnect to the broker in time")
	errSilent       = errors.New("it does not answer")
)

const (
	// soon is how long the Decider may pause before a restart for callers to
	// wait for it.
	soon = 2 * time.Second
	// shortly is the longest pause of a Decider that had answered before it
	// ended: it can run, and people wait.
	shortly = 400 * time.Millisecond
)

// StartPlugin starts one plugin, whatever its autoStart, and clears its
// breaker. It returns when the plugin is Healthy, has Failed, or has had its
// time to become ready; the error says why it is not running.
func (o *Orchestrator) StartPlugin(ctx context.Context, id string) error {
	o.mu.Lock()
	p, ok := o.find(id)
	o.mu.Unlock()
	if !ok {
		return fmt.Errorf("plugins: start %s: %w", id, ErrUnknown)
	}
	if err := o.begin(p); err != nil {
		return err
	}
	var state view.PluginState
	var lastError string
	err := o.await(ctx, func() bool {
		state, lastError = p.state, p.lastError
		return state != view.Starting
	})
	if err == nil && state == view.Failed {
		err = errors.New(lastError)
	}
	if err != nil {
		return fmt.Errorf("plugins: start %s: %w", p.id, err)
	}
	return nil
}

// StopPlugin stops one plugin: SIGTERM to its process group, the kill of its
// launch group two seconds later. A plugin that does not run is no error.
func (o *Orchestrator) StopPlugin(ctx context.Context, id string) error {
	o.mu.Lock()
	p, ok := o.find(id)
	o.mu.Unlock()
	if !ok {
		return fmt.Errorf("plugins: stop %s: %w", id, ErrUnknown)
	}
	o.signalStop(p)
	return o.awaitStop(ctx, p)
}

// RestartPlugin is StopPlugin and StartPlugin.
func (o *Orchestrator) RestartPlugin(ctx context.Context, id string) error {
	if err := o.StopPlugin(ctx, id); err != nil {
		return err
	}
	return o.StartPlugin(ctx, id)
}

func (o *Orchestrator) signalStop(p *plugin) {
	o.change(func() {
		if p.stop != nil {
			p.stop()
		}
	})
}

func (o *Orchestrator) awaitStop(ctx context.Context, p *plugin) error {
	if err := o.await(ctx, func() bool { return p.stop == nil }); err != nil {
		return fmt.Errorf("plugins: stop %s: %w", p.id, err)
	}
	return nil
}

// begin starts the supervisor of p.
func (o *Orchestrator) begin(p *plugin) error {
	var err error
	o.change(func() {
		switch {
		case o.closed:
			err = ErrClosed
		case p.manifest == nil || p.manifest.Disabled != "":
			err = fmt.Errorf("%w: %s", ErrDisabled, p.lastError)
		case p.stop != nil:
			err = ErrRunning
		}
		if err != nil {
			return
		}
		var ctx context.Context
		ctx, p.stop = context.WithCancel(context.Background())
		p.state, p.lastError, p.restarts, p.resigned = view.Starting, "", 0, false
		go o.supervise(ctx, p)
	})
	if err != nil {
		return fmt.Errorf("plugins: start %s: %w", p.id, err)
	}
	return nil
}

// supervise keeps p running until it is stopped or given up. It is the only
// goroutine that starts and ends p's processes.
func (o *Orchestrator) supervise(ctx context.Context, p *plugin) {
	state, reason := o.runUntilEnd(ctx, p)
	o.change(func() {
		p.stop()
		p.state, p.lastError, p.pid = state, text(reason), 0
		p.stop = nil
	})
	switch {
	case reason != nil:
		o.absent(p.id, "does not run: "+brief(reason))
	case !o.isClosed():
		o.absent(p.id, "has been stopped")
	}
}

func (o *Orchestrator) hasWorked(p *plugin) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return p.worked
}

func (o *Orchestrator) isClosed() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.closed
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// runUntilEnd returns the state that p is left in, and why; nil for a stop that
// somebody asked for.
func (o *Orchestrator) runUntilEnd(ctx context.Context, p *plugin) (view.PluginState, error) {
	m, log := p.manifest, o.cfg.Log.With("plugin", p.id)
	again := restarts{limits: o.monitoring()}
	for first := true; ; first = false {
		begun := time.Now()
		ran, err := o.runOnce(ctx, p)
		switch {
		case ctx.Err() != nil:
			log.Info("plugin stopped")
			return view.Stopped, nil
		case !ran && (first && permanent(err) && !o.decides(p) || !m.AutoRestart):
			log.Error("plugin cannot be started", "error", err)
			return view.Failed, err
		case !m.Monitored:
			log.Info("plugin ended; its file does not ask for monitoring", "reason", err)
			return view.Stopped, err
		case !m.AutoRestart:
			log.Error("plugin ended; its file does not ask for a restart", "reason", err)
			return view.Failed, err
		}
		again.limits = o.monitoring()
		if o.decides(p) && o.hasWorked(p) {
			again.pause = min(again.pause, shortly)
		}
		pause, ok := again.next(time.Now(), time.Since(begun))
		if !ok && !o.decides(p) {
			reason := fmt.Errorf("given up after %d restarts within %v; it last ended because: %w; fix that, then restart the service", again.limits.BreakerLimit, again.limits.BreakerWindow, err)
			log.Error("plugin is given up", "error", reason)
			return view.Failed, reason
		}
		late := o.decides(p) && (!ran && permanent(err) || pause >= min(soon, again.limits.MaxBackoff))
		log.Warn("plugin ended or could not be started, and is started again", "reason", err, "pause", pause)
		o.change(func() {
			p.state, p.lastError, p.pid = view.Unhealthy, err.Error(), 0
			p.restarts++
			if p.resigned = late; late {
				p.lastError = fmt.Sprintf("%v; it is tried again every %v", err, max(pause, firstPause))
			}
		})
		if late {
			o.absent(p.id, "does not run: "+brief(err))
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return view.Stopped, nil
		}
	}
}

// runOnce runs one process of p to its end. The error says how it ended; ran is
// false when there was no process.
func (o *Orchestrator) runOnce(ctx context.Context, p *plugin) (ran bool, err error) {
	spec, err := o.spec(p)
	if err != nil {
		return false, err
	}
	output, child, err := capture.Last(tailBytes)
	if err != nil {
		return false, err
	}
	spec.Stdout, spec.Stderr = child, child
	waiting, cut := context.WithCancelCause(ctx)
	defer cut(nil)
	o.change(func() {
		if !p.resigned { // or the reason of its last end would be lost
			p.state = view.Starting
		}
		p.subscribed, p.responds, p.started = false, false, time.Now()
		p.cut = cut
		p.patience = time.AfterFunc(readyWithin, func() { o.notReady(p) })
	})
	defer o.change(func() {
		p.patience.Stop()
		p.worked = p.responds
		p.cut, p.process, p.subscribed, p.responds = nil, nil, false, false
	})
	process, err := o.cfg.Starter.StartService(ctx, spec)
	child.Close()
	if err != nil {
		output.Finish(0)
		return false, err
	}
	o.change(func() {
		p.pid, p.process = process.ID().PID, process
		o.judge(p)
	})

	status, err := process.Wait(waiting)
	switch {
	case err == nil:
		err = ended(status)
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
		o.cfg.Exited(p.id)
	}
	if text := output.Text(tailWait); text != "" {
		err = &ending{err, text}
	}
	return true, err
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
	path, err := resolve(l, p.manifest.Executable)
	if err != nil {
		return core.ServiceSpec{}, err
	}
	o.cfg.Log.Debug("plugin starts", "plugin", p.id, "program", path)
	argv := []string{path}
	for _, t := range p.manifest.Arguments {
		arg, err := expand(l, api, t)
		if err != nil {
			return core.ServiceSpec{}, err
		}
		argv = append(argv, arg)
	}
	return core.ServiceSpec{
		As:   core.Principal{Kind: core.Plugin, Name: p.id},
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

func ended(status core.ExitStatus) error {
	if status.Signal != 0 {
		return fmt.Errorf("it was ended by signal %d", status.Signal)
	}
	return fmt.Errorf("it exited with status %d", status.Code)
}
