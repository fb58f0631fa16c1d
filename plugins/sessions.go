package plugins

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"kpm/core"
)

// noSessions says why no plugin can run in a user's session here; empty if one
// can.
func (o *Orchestrator) noSessions() string {
	if o.cfg.Sessions == nil {
		return "this agent knows no sessions"
	}
	_, err := o.cfg.Sessions.List(context.Background())
	if errors.Is(err, errors.ErrUnsupported) {
		return fmt.Sprintf("sessions of users are not known on this %s: %v", o.cfg.Platform, err)
	}
	return ""
}

func (o *Orchestrator) withoutSessions() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.sessionless
}

// followSessions gives a plugin that runs in sessions one instance in each, and
// ends those whose session has ended. Of any other it does nothing.
func (o *Orchestrator) followSessions(p *plugin) {
	if p.instances == nil || !p.runnable() {
		return
	}
	sessions, err := o.cfg.Sessions.List(context.Background())
	if err != nil {
		o.cfg.Log.Error("the sessions of users are not known", "plugin", p.id, "error", err)
		return
	}
	there := map[core.SessionID]core.Session{}
	for _, s := range sessions {
		if s.Graphical || p.manifest.Context != InInteractive {
			there[s.ID] = s
		}
	}
	o.change(func() {
		defer o.watchTopics()
		for id, instance := range p.instances {
			_, stays := there[id]
			switch {
			case !stays && instance.stop != nil:
				instance.stop()
			case !stays:
				delete(p.instances, id)
			}
		}
		for _, id := range sortedSessions(there) {
			if _, known := p.instances[id]; known || o.mayBegin(p) != nil || !p.wanted {
				continue
			}
			instance, err := o.instance(p, there[id])
			if err != nil {
				o.cfg.Log.Error("the plugin does not run in this session", "plugin", p.id, "session", id, "error", err)
				continue
			}
			p.instances[id] = instance
			o.launch(instance)
		}
	})
}

// instance makes one instance of p. The caller holds mu.
func (o *Orchestrator) instance(p *plugin, s core.Session) (*plugin, error) {
	name, err := o.cfg.UserName(s.User)
	if err != nil {
		return nil, fmt.Errorf("user %s: %w", s.User, err)
	}
	return &plugin{id: p.id, manifest: p.manifest, session: s, userName: name}, nil
}

func sortedSessions[T any](by map[core.SessionID]T) []core.SessionID {
	return slices.Sorted(maps.Keys(by))
}

// follow is followSessions for every plugin that runs in sessions and is to run.
func (o *Orchestrator) follow() {
	for _, p := range o.followers() {
		o.followSessions(p)
	}
}

// followers are the plugins that run in users' sessions, or did.
func (o *Orchestrator) followers() []*plugin {
	o.mu.Lock()
	defer o.mu.Unlock()
	var list []*plugin
	for _, p := range o.sorted() {
		if p.runnable() && p.instances != nil && (p.wanted || len(p.instances) > 0) {
			list = append(list, p)
		}
	}
	return list
}
