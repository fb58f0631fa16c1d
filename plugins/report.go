package plugins

import (
	"fmt"
	"time"

	"kpm/core/view"
)

// List returns every plugin, by id.
func (o *Orchestrator) List() []view.Plugin {
	o.mu.Lock()
	defer o.mu.Unlock()
	var list []view.Plugin
	for _, p := range o.sorted() {
		shown, state, detail := o.shown(p)
		row := view.Plugin{ID: p.id, Name: p.id, Status: state, ProcessID: shown.pid, LastStartTime: shown.started.UTC(), Detail: detail}
		if p.manifest != nil && p.manifest.Name != "" {
			row.Name = p.manifest.Name
		}
		list = append(list, row)
	}
	return list
}

// shown returns the process, state and detail by which p is shown: its own, or
// of several instances the one that is worst off. The caller holds mu.
func (o *Orchestrator) shown(p *plugin) (one *plugin, state view.PluginState, detail string) {
	if len(p.instances) == 0 {
		if p.instances != nil && p.runnable() {
			return p, view.Stopped, fmt.Sprintf("executionContext is %s, and it runs in no session now", p.manifest.Context)
		}
		return p, p.state, p.lastError
	}
	for _, instance := range p.instances {
		if one == nil || worse(instance.state) > worse(one.state) || worse(instance.state) == worse(one.state) && instance.session.ID < one.session.ID {
			one = instance
		}
	}
	return one, one.state, one.lastError
}

// worse orders states by how much somebody has to look after them.
func worse(s view.PluginState) int {
	switch s {
	case view.Failed:
		return 3
	case view.Unhealthy:
		return 2
	case view.Healthy:
		return 0
	}
	return 1
}

// Health returns what is known of one plugin's process, or ErrUnknown.
func (o *Orchestrator) Health(id string) (view.PluginHealth, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	p, ok := o.find(id)
	if !ok {
		return view.PluginHealth{}, fmt.Errorf("plugins: health of %s: %w", id, ErrUnknown)
	}
	return o.health(p), nil
}

// health is called with mu held.
func (o *Orchestrator) health(p *plugin) view.PluginHealth {
	one, state, detail := o.shown(p)
	h := view.PluginHealth{
		ID: p.id, Status: state, ProcessID: one.pid, Restarts: one.restarts,
		LastStartTime: one.started.UTC(), LastExit: one.lastExit, LastStderr: one.lastStderr, Detail: detail,
	}
	if p.runnable() {
		h.Monitored = p.manifest.Monitored
	}
	if one.pid != 0 {
		h.UptimeSeconds = time.Since(one.started).Seconds()
	}
	for _, id := range sortedSessions(p.instances) {
		h.Instances = append(h.Instances, o.instanceHealth(p.instances[id]))
	}
	return h
}

func (o *Orchestrator) instanceHealth(p *plugin) view.PluginInstance {
	return view.PluginInstance{Session: p.session.ID, User: p.userName, Status: p.state, ProcessID: p.pid, Detail: p.lastError}
}

// Monitoring returns the state of the monitor, and of every plugin. Where the monitor
// asks nobody, this is a check: there is nothing else to be looked at.
func (o *Orchestrator) Monitoring() view.Monitoring {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.asks() {
		o.checks++
		o.checked = time.Now()
	}
	m := view.Monitoring{
		IntervalSeconds: o.cfg.Monitoring.Interval.Seconds(), Checks: o.checks, LastCheck: o.checked.UTC(),
		BreakerLimit: o.cfg.Monitoring.BreakerLimit, BreakerWindowSeconds: o.cfg.Monitoring.BreakerWindow.Seconds(),
		MaxBackoffSeconds: o.cfg.Monitoring.MaxBackoff.Seconds(), Plugins: []view.PluginHealth{},
	}
	for _, p := range o.sorted() {
		m.Plugins = append(m.Plugins, o.health(p))
	}
	return m
}
