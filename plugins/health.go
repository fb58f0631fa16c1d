package plugins

import (
	"slices"
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
	if !ok || p.manifest == nil || p.manifest.Disabled != "" {
		return nil, nil
	}
	return slices.Clone(p.manifest.Publish), append([]string{p.manifest.Topic}, p.manifest.Subscribe...)
}

// of returns the plugin that a connection belongs to. The caller holds mu.
func (o *Orchestrator) of(p core.Principal) *plugin {
	if p.Kind != core.Plugin {
		return nil
	}
	found, _ := o.find(p.Name)
	return found
}

// Connected is told of each new connection of a plugin to the broker.
func (o *Orchestrator) Connected(p core.Principal) {
	o.change(func() {
		if plugin := o.of(p); plugin != nil {
			plugin.connections++
		}
	})
}

// Subscribed is told of each accepted subscription. One that covers the primary
// topic makes the plugin Healthy.
func (o *Orchestrator) Subscribed(p core.Principal, filter string) {
	o.change(func() {
		plugin := o.of(p)
		if plugin == nil || plugin.cut == nil || !wire.Match(filter, plugin.manifest.Topic) {
			return
		}
		plugin.subscribed = true
		if plugin.state == view.Starting || plugin.state == view.Unhealthy {
			plugin.state, plugin.lastError = view.Healthy, ""
		}
		plugin.patience.Stop()
	})
}

// Disconnected is told of the end of each connection. A plugin that was Healthy
// and does not come back within reconnectWithin is ended as unresponsive, and
// restarted if its file says so.
func (o *Orchestrator) Disconnected(p core.Principal) {
	o.change(func() {
		plugin := o.of(p)
		if plugin == nil || plugin.connections == 0 {
			return
		}
		plugin.connections--
		if plugin.connections > 0 || !plugin.subscribed {
			return
		}
		plugin.subscribed = false
		if plugin.state == view.Healthy {
			plugin.state, plugin.lastError = view.Unhealthy, "it is not connected to the broker"
			if plugin.manifest.AutoRestart {
				plugin.patience.Stop()
				plugin.patience = time.AfterFunc(reconnectWithin, plugin.cut)
			}
		}
	})
}
