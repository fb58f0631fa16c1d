package plugins

import (
	"path/filepath"
	"strings"

	"kpm/core/view"
	"kpm/settings"
)

// Inspection is everything that is known of one plugin, for whoever says what is
// wrong with it.
type Inspection struct {
	ID   string
	File string
	// Fault says why the file cannot be used, or why another plugin has its topic;
	// Manifest is nil then.
	Fault    string
	Manifest *Manifest
	// Program is the file that runs, or ProgramFault says why there is none; both
	// are empty for a part of the agent's own program, and for a plugin of other
	// systems.
	Program, ProgramFault string
	Health                view.PluginHealth
	Connections           int
	Subscribed            bool // to its primary topic
	Logged                bool // it has published on KeeperLogger since it started
}

// Inspect returns what is known of a plugin; false if there is none.
func (o *Orchestrator) Inspect(id string) (Inspection, bool) {
	o.mu.Lock()
	p, ok := o.find(id)
	if !ok {
		o.mu.Unlock()
		return Inspection{}, false
	}
	one, _, _ := o.shown(p)
	i := Inspection{
		ID: p.id, File: filepath.Join(o.cfg.Layout.Plugins(), p.id+".json"), Manifest: p.manifest, Health: o.health(p),
		Connections: one.connections, Subscribed: one.subscribed, Logged: one.logged.Load(),
	}
	if p.manifest == nil {
		i.Fault = p.lastError
	}
	o.mu.Unlock()
	if i.Manifest != nil && !i.Manifest.InProcess && !i.Manifest.Foreign {
		path, err := resolve(o.cfg.Layout, o.cfg.Platform.ProgramSuffix(), i.Manifest.Executable)
		if i.Program = path; err != nil {
			i.ProgramFault = err.Error()
		}
	}
	return i, true
}

// InspectAll is Inspect for every plugin, by id.
func (o *Orchestrator) InspectAll() []Inspection {
	var all []Inspection
	for _, p := range o.snapshot() {
		if i, ok := o.Inspect(p.id); ok {
			all = append(all, i)
		}
	}
	return all
}

// InspectFile is Inspect for a file that is not installed: id is its name without
// .json.
func (o *Orchestrator) InspectFile(id string, doc settings.Document) Inspection {
	i := Inspection{ID: id, File: doc.Name()}
	m, err := ParseManifest(id, doc, o.cfg.Platform)
	if err != nil {
		i.Fault = err.Error()
		return i
	}
	o.suit(m)
	list := []loaded{{id: id, manifest: m}}
	for _, p := range o.snapshot() {
		if p.manifest != nil && !strings.EqualFold(p.id, id) {
			list = append(list, loaded{id: p.id, manifest: p.manifest})
		}
	}
	separateTopics(list)
	if i.Manifest, i.Fault = list[0].manifest, list[0].fault; i.Manifest == nil || m.InProcess || m.Foreign {
		return i
	}
	path, err := resolve(o.cfg.Layout, o.cfg.Platform.ProgramSuffix(), m.Executable)
	if i.Program = path; err != nil {
		i.ProgramFault = err.Error()
	}
	return i
}
