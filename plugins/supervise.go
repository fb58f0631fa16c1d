package plugins

import (
	"context"
	"errors"
	"fmt"
	"time"

	"kpm/core/reserve"
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

// supervise keeps p running until it is stopped or given up. It is the only
// goroutine that starts and ends p's processes.
func (o *Orchestrator) supervise(ctx context.Context, p *plugin) {
	reserve.Stack()
	state, reason := o.runUntilEnd(ctx, p)
	o.change(func() {
		p.stop()
		p.state, p.lastError, p.pid = state, text(reason), 0
		p.noProgram = state == view.Failed && permanent(reason)
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
	var said said
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
			reason := fmt.Errorf("given up after %d restarts within %v; it last ended because: %w; fix that, then start it again: KeeperAdminCLI plugins start %s", again.limits.BreakerLimit, again.limits.BreakerWindow, err, p.id)
			log.Error("plugin is given up", "error", reason)
			return view.Failed, reason
		}
		late := o.decides(p) && (!ran && permanent(err) || pause >= min(soon, again.limits.MaxBackoff))
		if times, ok := said.now(time.Now(), err.Error(), pause); ok {
			log.Warn("plugin ended or could not be started, and is started again", "reason", err, "pause", pause, "times", times)
		}
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
