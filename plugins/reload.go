package plugins

import (
	"context"
	"fmt"
	"maps"
	"reflect"
	"slices"

	"kpm/core/port"
	"kpm/core/signal"
	"kpm/core/view"
)

// Reload reads the plugin files again. A plugin whose file came is started if
// it says autoStart, one whose file went is stopped, one whose file says something
// else of how it runs is started anew if it ran; settings take effect at once, and
// what was given up is started again. Nothing else is touched. A plugin whose
// file cannot be used any more stays as it was. Reloads wait for each other.
func (o *Orchestrator) Reload(ctx context.Context) (view.PluginsReloaded, error) {
	return o.reload(ctx, func(*plugin) bool { return true })
}

// Refresh is Reload after files have changed by themselves. Of the plugins that
// were given up it starts those again that had no program: one that crashes at
// every start and writes a file beside its program would never be given up.
func (o *Orchestrator) Refresh(ctx context.Context) (view.PluginsReloaded, error) {
	return o.reload(ctx, func(p *plugin) bool { return p.noProgram })
}

// reload reads the files; again says which of those that were given up start
// again. It is called with mu held.
func (o *Orchestrator) reload(ctx context.Context, again func(*plugin) bool) (view.PluginsReloaded, error) {
	o.reloading.Lock()
	defer o.reloading.Unlock()
	done := view.PluginsReloaded{Added: []string{}, Removed: []string{}, Restarted: []string{}, Settings: []string{}, Broken: map[string]string{}}
	if o.withoutSessions() != "" { // what was missing may be there by now; what is away for a moment stops nobody
		why := o.noSessions()
		o.change(func() { o.sessionless = why })
	}
	list, err := o.load()
	if err != nil {
		return done, err
	}
	defer func() { o.change(o.watchTopics) }() // however far it comes
	here := map[string]bool{}
	for _, l := range list {
		here[l.key()] = true
		if err := o.reloadOne(ctx, l, &done); err != nil {
			return done, err
		}
	}
	for _, p := range o.snapshot() {
		if here[loaded{id: p.id}.key()] {
			continue
		}
		if err := o.remove(ctx, p); err != nil {
			return done, err
		}
		done.Removed = append(done.Removed, p.id)
	}
	return done, o.startAgain(again)
}

func (o *Orchestrator) snapshot() []*plugin {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.sorted()
}

func (o *Orchestrator) reloadOne(ctx context.Context, l loaded, done *view.PluginsReloaded) error {
	p, known := o.plugin(l.id)
	if l.fault != "" {
		done.Broken[l.id] = l.fault
		o.cfg.Log.Error("plugin file is broken", "plugin", l.id, "stays_as_it_was", known, "error", l.fault)
		if known {
			return nil
		}
	}
	before, _ := o.cfg.Effective.All(l.id)
	if err := o.putSettings(l); err != nil {
		return fmt.Errorf("plugins: reload %s: %w", l.id, err)
	}
	after, _ := o.cfg.Effective.All(l.id)
	switch {
	case !known:
		o.change(func() { p = o.adopt(l) })
		done.Added = append(done.Added, l.id)
		_, err := o.beginByItself(p)
		return err
	case p.id != l.id || !reflect.DeepEqual(l.manifest, p.manifest):
		done.Restarted = append(done.Restarted, l.id)
		return o.replace(ctx, p, l)
	case !maps.Equal(before, after):
		done.Settings = append(done.Settings, l.id)
	}
	return nil
}

// replace has a plugin be what its file says now, and go on if it ran, or was to run in
// every session, and nobody has stopped it.
func (o *Orchestrator) replace(ctx context.Context, p *plugin, l loaded) error {
	var next *plugin
	var begun error
	err := o.retire(ctx, p, func(ran bool) {
		next = &plugin{id: l.id, down: p.down, restarts: p.restarts, started: p.started, lastExit: p.lastExit, lastStderr: p.lastStderr}
		next.take(l)
		o.plugins[l.key()] = next
		if ran = ran || p.instances != nil && p.wanted; next.startsByItself() || ran && !p.down && next.runnable() {
			begun = o.begin(next)
		}
	})
	if err != nil {
		return err
	}
	if begun != nil {
		return fmt.Errorf("plugins: start %s: %w", l.id, begun)
	}
	o.followSessions(next)
	return nil
}

func (o *Orchestrator) remove(ctx context.Context, p *plugin) error {
	if err := o.retire(ctx, p, func(bool) { delete(o.plugins, loaded{id: p.id}.key()) }); err != nil {
		return err
	}
	o.cfg.Effective.Remove(p.id)
	return nil
}

// startAgain starts what was given up.
func (o *Orchestrator) startAgain(again func(*plugin) bool) error {
	o.mu.Lock()
	failed := slices.DeleteFunc(slices.Concat(o.tiers()...), func(p *plugin) bool { return p.state != view.Failed || p.down || !again(p) })
	o.mu.Unlock()
	for _, p := range failed {
		if _, err := o.beginByItself(p); err != nil {
			return err
		}
	}
	return nil
}

func (o *Orchestrator) plugin(id string) (*plugin, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.find(id)
}

// Signal sends a signal to a plugin's process. One that does not run needs none.
func (o *Orchestrator) Signal(id string, sig signal.Signal) error {
	o.mu.Lock()
	var process port.Process
	if p, ok := o.find(id); ok {
		process = p.process
	}
	o.mu.Unlock()
	if process == nil {
		return nil
	}
	if err := process.Signal(sig); err != nil {
		return fmt.Errorf("plugins: signal %s: %w", id, err)
	}
	return nil
}
