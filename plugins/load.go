package plugins

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"kpm/core"
	"kpm/settings"
)

// loaded is what one plugin file says. manifest is nil when it cannot be used,
// and fault says why.
type loaded struct {
	id       string
	entry    settings.Entry
	manifest *Manifest
	fault    string
}

func (l loaded) key() string { return strings.ToLower(l.id) }

// load reads the plugin files, by id. A broken one keeps no other from being
// read. The error is that of a directory that cannot be read.
func (o *Orchestrator) load() ([]loaded, error) {
	entries, err := settings.ReadDirectory(o.cfg.Layout.Plugins(), settings.MaxPluginFile, o.cfg.Read)
	if err != nil {
		return nil, fmt.Errorf("plugins: %w", err)
	}
	var list []loaded
	for _, e := range entries {
		// Ids are one in any letter case: KeeperApi.json beside KeeperAPI.json
		// is a second file for one plugin (decision 7).
		if i := slices.IndexFunc(list, func(l loaded) bool { return strings.EqualFold(l.id, e.ID) }); i >= 0 {
			o.cfg.Log.Error("plugin file is ignored: another file is for the same plugin", "file", e.ID+".json", "plugin", list[i].id)
			continue
		}
		l := loaded{id: e.ID, entry: e}
		err := e.Err
		if err == nil {
			l.manifest, err = ParseManifest(e.ID, e.Doc, o.cfg.Platform)
		}
		if err != nil {
			l.fault = err.Error()
		} else {
			o.suit(l.manifest)
		}
		list = append(list, l)
	}
	slices.SortFunc(list, func(a, b loaded) int { return cmp.Compare(a.id, b.id) })
	separateTopics(list)
	return list, nil
}

// suit disables what a sound file asks for and this agent does not have.
func (o *Orchestrator) suit(m *Manifest) {
	switch {
	case m.Disabled != "":
	case m.InProcess && o.cfg.InProcess[m.ID] == nil:
		m.Disabled = "its pluginType is Service, and this agent has no part of that id"
	case m.InProcess && m.perSession():
		m.Disabled = "its pluginType is Service, which runs in no user's session"
	case m.perSession():
		if why := o.withoutSessions(); why != "" {
			m.Disabled = fmt.Sprintf("its executionContext is %s: %s", m.Context, why)
		}
	}
}

// separateTopics lets one plugin alone have a primary topic: the one whose id
// it is, else the first by id. Another would receive its commands.
func separateTopics(list []loaded) {
	owners := map[string]*loaded{}
	for i := range list {
		l := &list[i]
		if l.manifest == nil || l.manifest.Topic == "" {
			continue
		}
		owner, taken := owners[l.manifest.Topic]
		if !taken || l.id == l.manifest.Topic {
			owners[l.manifest.Topic] = l
			owner, l = l, owner
		}
		if l != nil {
			l.fault = fmt.Sprintf("Subscription.Topic is %q, which is the primary topic of %s, expected one of its own", owner.manifest.Topic, owner.id)
			l.manifest = nil
		}
	}
}

// adopt makes a plugin of a file that none was known for. The caller holds mu,
// or nobody else has o yet.
func (o *Orchestrator) adopt(l loaded) *plugin {
	p := &plugin{id: l.id}
	o.plugins[l.key()] = p
	p.take(l)
	return p
}

// putSettings lays the file's settings over the defaults. A file that is no
// manifest still gives its settings.
func (o *Orchestrator) putSettings(l loaded) error {
	if l.entry.Err != nil || core.ReservedName(l.id) {
		return nil
	}
	return o.cfg.Effective.Put(l.id, l.entry.Doc)
}
