package plugins

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"kpm/core/port"
	"kpm/core/signal"
	"kpm/core/view"
	"kpm/settings"
)

// Reload reads the plugin files again. The settings that they give take effect
// at once: changed has the ids of the plugins. How a plugin runs does not change
// while the service does: waiting has those whose files say something else of
// that, came or went. Those that were given up are started again. A file that
// cannot be used changes nothing.
func (o *Orchestrator) Reload() (changed, waiting []string, err error) {
	entries, err := settings.ReadDirectory(o.cfg.Layout.Plugins(), maxManifest, o.cfg.Read)
	if err != nil {
		return nil, nil, fmt.Errorf("plugins: %w", err)
	}
	here := map[string]bool{}
	for _, e := range entries {
		here[strings.ToLower(e.ID)] = true
		p, known := o.plugin(e.ID)
		err := e.Err
		var m *Manifest
		if err == nil {
			m, err = ParseManifest(e.ID, e.Doc, o.cfg.Platform)
		}
		switch {
		case err != nil:
			o.cfg.Log.Error("plugin file is broken; the plugin stays as it was", "plugin", e.ID, "error", err)
			continue
		case !known || p.id != e.ID:
			waiting = append(waiting, e.ID)
			continue
		case p.manifest == nil || !reflect.DeepEqual(m, p.manifest):
			waiting = append(waiting, e.ID)
		}
		before, _ := o.cfg.Effective.All(e.ID)
		if err := o.cfg.Effective.Put(e.ID, e.Doc); err != nil {
			return changed, waiting, fmt.Errorf("plugins: %w", err)
		}
		if after, _ := o.cfg.Effective.All(e.ID); !maps.Equal(before, after) {
			changed = append(changed, e.ID)
		}
	}
	for _, p := range o.sorted() {
		if !here[strings.ToLower(p.id)] {
			waiting = append(waiting, p.id)
		}
	}
	slices.Sort(waiting)
	return changed, waiting, o.startAgain()
}

// startAgain starts what was given up.
func (o *Orchestrator) startAgain() error {
	o.mu.Lock()
	failed := slices.DeleteFunc(slices.Concat(o.tiers()...), func(p *plugin) bool { return p.state != view.Failed })
	o.mu.Unlock()
	for _, p := range failed {
		if err := o.begin(p); err != nil {
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
