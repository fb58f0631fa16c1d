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

// errUnresponsive is why a process is ended that lost the broker.
var errUnresponsive = errors.New("it did not reconnect to the broker in time")

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
		p.state, p.lastError, p.restarts = view.Starting, "", 0
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
		p.state, p.lastError, p.pid = state, reason, 0
		p.stop = nil
	})
}

// runUntilEnd returns the state that p is left in, and why.
func (o *Orchestrator) runUntilEnd(ctx context.Context, p *plugin) (view.PluginState, string) {
	m, log := p.manifest, o.cfg.Log.With("plugin", p.id)
	again := restarts{limits: o.cfg.Monitoring}
	for first := true; ; first = false {
		begun := time.Now()
		ran, err := o.runOnce(ctx, p)
		switch {
		case ctx.Err() != nil:
			log.Info("plugin stopped")
			return view.Stopped, ""
		case !ran && (first && permanent(err) || !m.AutoRestart):
			log.Error("plugin cannot be started", "error", err)
			return view.Failed, err.Error()
		case !m.Monitored:
			log.Info("plugin ended; its file does not ask for monitoring", "reason", err)
			return view.Stopped, err.Error()
		case !m.AutoRestart:
			log.Error("plugin ended; its file does not ask for a restart", "reason", err)
			return view.Failed, err.Error()
		}
		pause, ok := again.next(time.Now(), time.Since(begun))
		if !ok {
			reason := fmt.Sprintf("given up after %d restarts within %v; it last ended because: %v; fix that, then restart the service", o.cfg.Monitoring.BreakerLimit, o.cfg.Monitoring.BreakerWindow, err)
			log.Error("plugin is given up", "error", reason)
			return view.Failed, reason
		}
		log.Warn("plugin ended and is restarted", "reason", err, "pause", pause)
		o.change(func() {
			p.state, p.lastError, p.pid = view.Unhealthy, err.Error(), 0
			p.restarts++
		})
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return view.Stopped, ""
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
		p.state, p.subscribed, p.started = view.Starting, false, time.Now()
		p.cut = func() { cut(errUnresponsive) }
		p.patience = time.AfterFunc(readyWithin, func() { o.notReady(p) })
	})
	defer o.change(func() {
		p.patience.Stop()
		p.cut, p.subscribed = nil, false
	})
	process, err := o.cfg.Starter.StartService(ctx, spec)
	child.Close()
	if err != nil {
		output.Finish(0)
		return false, err
	}
	o.change(func() { p.pid = process.ID().PID })

	status, err := process.Wait(waiting)
	switch {
	case err == nil:
		err = ended(status)
	case waiting.Err() != nil:
		o.change(func() { p.state = view.Stopping })
		o.end(process)
		err = context.Cause(waiting)
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
		err = fmt.Errorf("%w; its last output: %s", err, text)
	}
	return true, err
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

// notReady ends the wait for a plugin that runs without its subscription. It
// may be one that never speaks to the broker, so it is left alone.
func (o *Orchestrator) notReady(p *plugin) {
	o.change(func() {
		if p.state == view.Starting {
			p.state = view.Unhealthy
			p.lastError = fmt.Sprintf("it has not subscribed to its topic %s within %v", p.manifest.Topic, readyWithin)
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
	if err := process.Kill(); err != nil {
		o.cfg.Log.Warn("plugin process cannot be killed", "process", process.ID(), "error", err)
	}
	reap, cancel := context.WithTimeout(context.Background(), reapWithin)
	defer cancel()
	if _, err := process.Wait(reap); err != nil {
		o.cfg.Log.Warn("killed plugin process is not gone", "process", process.ID(), "error", err)
	}
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
