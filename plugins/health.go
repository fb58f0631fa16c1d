package plugins

import (
	"slices"
	"strings"
	"time"

	"kpm/core"
	"kpm/core/view"
	"kpm/core/wire"
)

// Topics returns what a plugin declares; its primary topic is among those it
// subscribes to (decision 19). A plugin that cannot run declares nothing.
func (o *Orchestrator) Topics(id string) (publish, subscribe []string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	p, ok := o.find(id)
	if !ok || !p.runnable() {
		return nil, nil
	}
	subscribe = slices.Clone(p.manifest.Subscribe)
	if p.manifest.Topic != "" {
		subscribe = append([]string{p.manifest.Topic}, subscribe...)
	}
	return slices.Clone(p.manifest.Publish), subscribe
}

// Voice is what a plugin's file says about the bus.
type Voice struct {
	ID                 string
	Topic              string // the primary one; empty if there is none
	Publish, Subscribe []string
	Keep               bool // Manifest.KeepSession
	Wake               bool // Manifest.StartOnMessage
}

// Voices returns those of every plugin that can run, but in users' sessions.
func (o *Orchestrator) Voices() []Voice {
	o.mu.Lock()
	defer o.mu.Unlock()
	var voices []Voice
	for _, p := range o.plugins {
		if m := p.manifest; p.runnable() && !m.perSession() {
			voices = append(voices, Voice{
				ID: p.id, Topic: m.Topic, Publish: slices.Clone(m.Publish), Subscribe: slices.Clone(m.Subscribe), Keep: m.KeepSession, Wake: m.StartOnMessage,
			})
		}
	}
	return voices
}

// of returns the plugin that a connection belongs to: of one that runs in
// sessions the instance, and the first of several that one user has. The caller
// holds mu.
func (o *Orchestrator) of(p core.Principal) *plugin {
	if p.Kind != core.Plugin {
		return nil
	}
	found, ok := o.find(p.Name)
	if !ok || !p.InUserSession {
		return found
	}
	for _, id := range sortedSessions(found.instances) {
		if instance := found.instances[id]; instance.session.User == p.User {
			return instance
		}
	}
	return nil
}

// missing says what a plugin that runs lacks of what its file promises; empty
// means that it is Healthy. One that promises nothing is as healthy as its
// process: it may only publish, or speak only HTTP. The caller holds mu.
func (o *Orchestrator) missing(p *plugin) string {
	switch m := p.manifest; {
	case m.InProcess: // it needs no connection
	case p.silent:
		return errNoSign.Error()
	case m.Liveness && p.connections == 0:
		return "it is not connected to the broker"
	case m.Subscribes && !p.subscribed:
		return "it has not subscribed to its topic " + m.Topic
	case o.decides(p) && !p.responds:
		return "it has not answered a question yet"
	}
	return ""
}

// judge makes a plugin Healthy that runs and lacks nothing. The caller holds mu.
func (o *Orchestrator) judge(p *plugin) {
	if p.cut == nil || p.pid == 0 || o.missing(p) != "" {
		return
	}
	if p.state == view.Starting || p.state == view.Unhealthy {
		p.state, p.lastError, p.resigned = view.Healthy, "", false
	}
	p.patience.Stop()
}

// decides reports whether p is the plugin without which nothing is decided.
func (o *Orchestrator) decides(p *plugin) bool { return strings.EqualFold(p.id, o.cfg.Decider) }

// Connected is told of each new connection of a plugin to the broker.
func (o *Orchestrator) Connected(p core.Principal) {
	o.change(func() {
		if plugin := o.of(p); plugin != nil {
			plugin.connections++
			o.judge(plugin)
		}
	})
}

// Subscribed is told of each accepted subscription. One that covers the primary
// topic is what the plugin's file promises.
func (o *Orchestrator) Subscribed(p core.Principal, filter string) {
	o.change(func() {
		plugin := o.of(p)
		if plugin == nil || plugin.cut == nil || !wire.Match(filter, plugin.manifest.Topic) {
			return
		}
		plugin.subscribed = true
		o.judge(plugin)
	})
}

// Responds is told when the Decider has answered a probe.
func (o *Orchestrator) Responds(id string) {
	o.mu.Lock()
	p, ok := o.find(id)
	known := !ok || p.responds
	o.mu.Unlock()
	if known { // it answers all day
		return
	}
	o.change(func() {
		p.responds = true
		o.judge(p)
	})
}

// Silent is told when the Decider does not answer. Its process is killed, and
// started again if its file says so: it may be stopped, and would not hear that
// it is asked to end.
func (o *Orchestrator) Silent(id string) {
	restarted := true
	o.change(func() {
		p, ok := o.find(id)
		if !ok || p.cut == nil {
			return
		}
		p.state, p.lastError, p.responds = view.Unhealthy, errSilent.Error(), false
		if restarted = p.manifest.AutoRestart; restarted {
			p.cut(errSilent)
		}
	})
	if !restarted {
		o.absent(id, "does not answer")
	}
}

// absent tells that the Decider will not be back soon.
func (o *Orchestrator) absent(id, how string) {
	if o.cfg.Absent != nil && strings.EqualFold(id, o.cfg.Decider) {
		o.cfg.Absent(how)
	}
}

// Disconnected is told of the end of each connection. A plugin that was Healthy
// and does not come back within reconnectWithin is ended as unresponsive, and
// restarted if its file says so; one whose file promises no connection may be
// without.
func (o *Orchestrator) Disconnected(p core.Principal) {
	o.change(func() {
		plugin := o.of(p)
		if plugin == nil || plugin.connections == 0 {
			return
		}
		plugin.connections--
		if plugin.connections > 0 {
			return
		}
		plugin.subscribed = false
		if plugin.cut == nil { // its process has ended, and nobody waits for it to connect again
			return
		}
		if plugin.state == view.Healthy && (plugin.manifest.Subscribes || plugin.manifest.Liveness) {
			plugin.state, plugin.lastError = view.Unhealthy, "it is not connected to the broker"
			if plugin.manifest.AutoRestart {
				plugin.patience.Stop()
				cut := plugin.cut
				plugin.patience = time.AfterFunc(reconnectWithin, func() { cut(errUnresponsive) })
			}
		}
	})
}
