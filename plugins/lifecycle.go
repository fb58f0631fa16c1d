package plugins

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"kpm/core"
	"kpm/core/view"
)

// StartPlugin starts one plugin, whatever its autoStart, and clears its
// breaker; one that runs in users' sessions, in each that there is. It returns
// when the plugin is Healthy, has Failed, or has had its time to become ready;
// the error says why it is not running.
func (o *Orchestrator) StartPlugin(ctx context.Context, id string) error {
	var p *plugin
	err := error(ErrUnknown)
	o.change(func() {
		if found, ok := o.find(id); ok {
			p, err = found, o.begin(found)
		}
	})
	if err != nil {
		return fmt.Errorf("plugins: start %s: %w", id, err)
	}
	o.followSessions(p)
	var state view.PluginState
	var lastError string
	err = o.await(ctx, func() bool {
		now, ok := o.find(id) // its file may have changed, or be gone
		if !ok {
			state, lastError = view.Failed, "its file is gone"
			return true
		}
		p, state, lastError = now, now.state, now.lastError
		return state != view.Starting
	})
	if err == nil && state == view.Failed {
		err = core.Worded(ErrFailed, lastError)
	}
	if err != nil {
		return fmt.Errorf("plugins: start %s: %w", p.id, err)
	}
	return nil
}

// StopPlugin stops one plugin: SIGTERM to its process group, the kill of its
// launch group two seconds later. A plugin that does not run is no error. No
// message starts it again; whoever asks does.
func (o *Orchestrator) StopPlugin(ctx context.Context, id string) error {
	var p *plugin
	o.change(func() {
		found, ok := o.find(id)
		if !ok {
			return
		}
		p = found
		p.down, p.wanted = true, false
		if p.stop == nil && p.runnable() { // given up, or it ended by itself
			p.state, p.lastError = view.Stopped, ""
		}
		p.cancel()
	})
	if p == nil {
		return fmt.Errorf("plugins: stop %s: %w", id, ErrUnknown)
	}
	return o.awaitStop(ctx, p)
}

// RestartPlugin is StopPlugin and StartPlugin.
func (o *Orchestrator) RestartPlugin(ctx context.Context, id string) error {
	if err := o.StopPlugin(ctx, id); err != nil {
		return err
	}
	return o.StartPlugin(ctx, id)
}

// cancel has the supervisors of p end, and reports whether there were any. The caller
// holds Orchestrator.mu.
func (p *plugin) cancel() bool {
	running := false
	for _, one := range p.all() {
		if one.stop != nil {
			one.stop()
			running = true
		}
	}
	return running
}

// runs reports whether anything of p has a supervisor. The caller holds Orchestrator.mu.
func (p *plugin) runs() bool {
	return slices.ContainsFunc(p.all(), func(one *plugin) bool { return one.stop != nil })
}

// awaitStop waits until nothing of p runs, or somebody has started it again.
func (o *Orchestrator) awaitStop(ctx context.Context, p *plugin) error {
	err := o.await(ctx, func() bool {
		return !p.runs() || !p.down && !o.closed
	})
	if err != nil {
		return fmt.Errorf("plugins: stop %s: %w", p.id, err)
	}
	return nil
}

// retire stops p, whoever starts it meanwhile, and does then, with mu held, when nothing of
// it runs: between the two nobody starts it again. Then is told whether it ran.
func (o *Orchestrator) retire(ctx context.Context, p *plugin, then func(ran bool)) error {
	ran := false
	err := o.await(ctx, func() bool {
		if p.cancel() {
			ran = true
			return false
		}
		then(ran)
		return true
	})
	if err != nil {
		return fmt.Errorf("plugins: stop %s: %w", p.id, err)
	}
	o.change(func() {}) // for those who wait for a state
	return nil
}

// begin starts the supervisor of p, or of its instances. The caller holds mu, and
// follows sessions afterwards.
func (o *Orchestrator) begin(p *plugin) error {
	if err := o.mayBegin(p); err != nil {
		return err
	}
	if p.down && p.runs() {
		return ErrRunning // as long as what somebody has stopped has not ended in every session
	}
	p.down, p.wanted = false, true
	if p.instances == nil {
		o.launch(p)
	}
	for _, id := range sortedSessions(p.instances) {
		if p.instances[id].stop == nil {
			o.launch(p.instances[id])
		}
	}
	return nil
}

// beginByItself starts a plugin that is to start without being asked, unless somebody
// has stopped it, and reports whether it did: it may run, or a reload may have put
// another in its place.
func (o *Orchestrator) beginByItself(p *plugin) (begun bool, err error) {
	o.change(func() {
		if !p.startsByItself() {
			return
		}
		err = o.begin(p)
		begun = err == nil
	})
	switch {
	case errors.Is(err, ErrRunning), errors.Is(err, errReplaced):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("plugins: start %s: %w", p.id, err)
	case begun:
		o.followSessions(p)
	}
	return begun, nil
}

// startsByItself is for who holds mu.
func (p *plugin) startsByItself() bool { return p.runnable() && p.manifest.AutoStart && !p.down }

// mayBegin says why p cannot be started. The caller holds mu.
func (o *Orchestrator) mayBegin(p *plugin) error {
	switch {
	case o.closed:
		return ErrClosed
	case o.plugins[strings.ToLower(p.id)] != p: // a reload has put another in its place
		return errReplaced
	case !p.runnable():
		return fmt.Errorf("%w: %s", ErrDisabled, p.lastError)
	case p.stop != nil:
		return ErrRunning
	}
	return nil
}

// launch gives p a supervisor. The caller holds mu.
func (o *Orchestrator) launch(p *plugin) {
	var ctx context.Context
	ctx, p.stop = context.WithCancel(context.Background())
	p.state, p.lastError, p.restarts, p.resigned, p.noProgram = view.Starting, "", 0, false, false
	go o.supervise(ctx, p)
}
