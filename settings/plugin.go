package settings

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"

	"kpm/core/strictjson"
)

// AgentWide is the pseudo-plugin whose settings describe the agent itself.
const AgentWide = "KeeperPrivilegeManager"

// Effective holds the settings of all plugins as GET /api/PluginSettings/{plugin}
// returns them: flat, strings only, what is stored over what the plugin's file
// says over compiled defaults (docs/settings.md, "Settings of plugins"). Plugin
// ids and keys are found in any letter case, so KeeperApi is KeeperAPI (decision
// 7). It is safe for concurrent use, reads no files and keeps nothing.
type Effective struct {
	layout Layout
	mu     sync.RWMutex
	plugin map[string]*layers // by folded id (strictjson.Fold)
}

// flat maps a folded key to its name and value.
type flat map[string]struct{ name, value string }

func (f flat) put(name, value string) {
	f[strictjson.Fold(name)] = struct{ name, value string }{name, value}
}

// layers are what says what a plugin's settings are, from below.
type layers struct {
	fallback flat
	file     flat
	from     string // name of the file; empty without one
	stored   flat
	held     flat // what the service knows to be so, whatever anybody wrote
}

// Origin says which layer a value comes from.
type Origin string

// The origins, the strongest last.
const (
	FromDefault Origin = "default"
	FromFile    Origin = "file"
	FromStore   Origin = "stored"
	FromService Origin = "service"
)

// Explained is an effective value and where it comes from.
type Explained struct {
	Value  string
	Origin Origin
	// File is the plugin's file, for FromFile.
	File string
}

func defaults() []struct{ plugin, key, value string } {
	return []struct{ plugin, key, value string }{
		{AgentWide, "broker.host", "127.0.0.1"},
		{"KeeperPolicy", "policy.enforceForAdministrators", "false"},
		{"KeeperPolicy", "policy.customFilterTimeoutSeconds", "30"},
		{"KeeperLogger", "log.file.path", "{pluginroot}/bin/KeeperLogger/Log/KeeperLogger.log"},
		{"KeeperLogger", "log.rotation.size_mb", "10"},
		{"KeeperLogger", "log.retention.days", "15"},
		{"KeeperLogger", "log.retention.total_mb", "200"},
		{"KeeperLogger", "log.format", "text"},
		{"KeeperLogger", "log.level", "Trace"},
		{"KeeperLogger", "log.system", "off"},
		{"KeeperLogger", "log.http.url", ""},
		{"KeeperLogger", "log.http.authorization", ""},
		{"KeeperLogger", "log.http.ca_file", ""},
		{"KeeperLogger", "log.http.batch", "100"},
		{"RedirectEvaluator", "metadata.redirect.enabled", "false"},
	}
}

// NewEffective returns the compiled defaults. {approot}, {pluginroot} and
// {jobroot} in values become paths of l.
func NewEffective(l Layout) *Effective {
	e := &Effective{layout: l, plugin: map[string]*layers{}}
	for _, d := range defaults() {
		e.of(d.plugin)
	}
	return e
}

// of returns the layers of a plugin, with its compiled defaults.
func (e *Effective) of(plugin string) *layers {
	l, ok := e.plugin[strictjson.Fold(plugin)]
	if ok {
		return l
	}
	l = &layers{fallback: flat{}, file: flat{}, stored: flat{}, held: flat{}}
	for _, d := range defaults() {
		if strings.EqualFold(d.plugin, plugin) {
			l.fallback.put(d.key, e.expand(d.value))
		}
	}
	e.plugin[strictjson.Fold(plugin)] = l
	return l
}

func (e *Effective) expand(value string) string {
	text, err := ParseTemplate(value).Expand(func(token string) (string, error) {
		if path, ok := e.layout.Variable(token); ok {
			return path, nil
		}
		return "{" + token + "}", nil
	})
	if err != nil {
		return value
	}
	return text
}

// SetBroker says where the broker listens. Port 0 means that no TCP port is
// held; broker.port is absent then.
func (e *Effective) SetBroker(host string, port int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	held := e.of(AgentWide).held
	held.put("broker.host", host)
	delete(held, strictjson.Fold("broker.port"))
	if port != 0 {
		held.put("broker.port", strconv.Itoa(port))
	}
}

// SetService says what the service's own live settings are without what is
// stored: those that a gives, over compiled defaults. file is where a is from.
func (e *Effective) SetService(a App, file string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	l := e.of(AgentWide)
	rows := liveEntries() // once: making the table takes longer than all that is done with it
	for name, value := range Default().liveValues(rows) {
		l.fallback.put(name, value)
	}
	l.file, l.from = flat{}, file
	values := a.liveValues(rows)
	for _, e := range rows {
		if name := liveName(e.key); a.given[e.key] != "" {
			l.file.put(name, values[name])
		}
	}
}

// Put lays a plugin's file over its defaults, in place of an earlier one. It takes any document, so that a
// file that is no valid manifest still gives its settings.
func (e *Effective) Put(plugin string, file Document) error {
	var root map[string]any
	dec := json.NewDecoder(bytes.NewReader(file.root.Raw()))
	dec.UseNumber()
	if err := dec.Decode(&root); err != nil {
		return file.Fault("", "the file cannot be read ("+err.Error()+")", "a JSON object")
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	f := flat{}
	// Root keys come last: metadata cannot shadow the plugin's own id or path.
	for _, name := range slices.Sorted(maps.Keys(root)) {
		if fields, ok := root[name].(map[string]any); ok && strings.EqualFold(name, "metadata") {
			e.below(f, "", fields)
			delete(root, name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(root)) {
		if text, ok := e.text(root[name]); ok {
			f.put(name, text)
		}
	}
	l := e.of(plugin)
	l.file, l.from = f, file.Name()
	return nil
}

// Remove forgets a plugin. Compiled defaults stay.
func (e *Effective) Remove(plugin string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.plugin, strictjson.Fold(plugin))
	if slices.ContainsFunc(defaults(), func(d struct{ plugin, key, value string }) bool { return strings.EqualFold(d.plugin, plugin) }) {
		e.of(plugin)
	}
}

// Store lays one value over the plugin's file. It does not make a plugin known.
func (e *Effective) Store(plugin, key, value string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	l := e.of(plugin)
	if other := l.alias(key); other != "" {
		delete(l.stored, strictjson.Fold(other))
	}
	l.stored.put(key, value)
}

// Unstore takes every stored value of a plugin away.
func (e *Effective) Unstore(plugin string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if l, ok := e.plugin[strictjson.Fold(plugin)]; ok {
		l.stored = flat{}
	}
}

// below puts everything under metadata, with the prefix and without.
func (e *Effective) below(f flat, prefix string, fields map[string]any) {
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		dotted := prefix + name
		if nested, ok := fields[name].(map[string]any); ok && len(nested) > 0 {
			e.below(f, dotted+".", nested)
			continue
		}
		if text, ok := e.text(fields[name]); ok {
			f.put(dotted, text)
			f.put("metadata."+dotted, text)
		}
	}
}

// text is a value as a string: lists and objects as compact JSON. null means
// that the key is not given.
func (e *Effective) text(v any) (string, bool) {
	switch v := v.(type) {
	case nil:
		return "", false
	case string:
		return e.expand(v), true
	case json.Number:
		return v.String(), true
	case bool:
		return strconv.FormatBool(v), true
	}
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if enc.Encode(v) != nil {
		return "", false
	}
	return strings.TrimSuffix(b.String(), "\n"), true
}

// known reports whether there is anything besides stored values: those of a
// plugin whose file is gone wait for it.
func (l *layers) known() bool {
	return l != nil && len(l.fallback)+len(l.file)+len(l.held) > 0 || l != nil && l.from != ""
}

// merged returns the effective values by folded key.
func (l *layers) merged() map[string]named {
	all := map[string]named{}
	for key, v := range l.fallback {
		all[key] = named{v.name, Explained{Value: v.value, Origin: FromDefault}}
	}
	for key, v := range l.file {
		all[key] = named{v.name, Explained{Value: v.value, Origin: FromFile, File: l.from}}
	}
	for key, v := range l.stored {
		if other := l.alias(v.name); other != "" {
			all[strictjson.Fold(other)] = named{other, Explained{Value: v.value, Origin: FromStore}}
		}
		all[key] = named{v.name, Explained{Value: v.value, Origin: FromStore}}
	}
	for key, v := range l.held {
		all[key] = named{v.name, Explained{Value: v.value, Origin: FromService}}
	}
	return all
}

// alias returns the other name of a setting, empty if it has none: what lies below
// metadata has two, and one value under both.
func (l *layers) alias(name string) string {
	other, below := "metadata."+name, false
	if len(name) > len("metadata.") && strings.EqualFold(name[:len("metadata.")], "metadata.") {
		other, below = name[len("metadata."):], true
	}
	find := func(name string) (value string, given bool) {
		for _, layer := range []flat{l.file, l.fallback} {
			if v, ok := layer[strictjson.Fold(name)]; ok {
				return v.value, true
			}
		}
		return "", false
	}
	mine, known := find(name)
	others, given := find(other)
	if given && (!known || mine == others) || below && !known && !given {
		return other
	}
	return ""
}

// Alias returns the other name under which a setting of a plugin has the same
// value; empty if there is none.
func (e *Effective) Alias(plugin, key string) string {
	e.mu.RLock()
	defer e.mu.RUnlock()
	if l := e.plugin[strictjson.Fold(plugin)]; l != nil {
		return l.alias(key)
	}
	return ""
}

type named struct {
	name string
	Explained
}

// All returns the settings of plugin, false when there is no such plugin. The
// map is the caller's own.
func (e *Effective) All(plugin string) (map[string]string, bool) {
	explained, ok := e.Explain(plugin)
	all := make(map[string]string, len(explained))
	for name, v := range explained {
		all[name] = v.Value
	}
	return all, ok
}

// Explain is All, and says where each value comes from.
func (e *Effective) Explain(plugin string) (map[string]Explained, bool) {
	e.mu.RLock()
	defer e.mu.RUnlock()
	l := e.plugin[strictjson.Fold(plugin)]
	if !l.known() {
		return map[string]Explained{}, false
	}
	all := map[string]Explained{}
	for _, v := range l.merged() {
		all[v.name] = v.Explained
	}
	return all, true
}

// Get returns one setting.
func (e *Effective) Get(plugin, key string) (string, bool) {
	e.mu.RLock()
	defer e.mu.RUnlock()
	l := e.plugin[strictjson.Fold(plugin)]
	if !l.known() {
		return "", false
	}
	v, ok := l.merged()[strictjson.Fold(key)]
	return v.Value, ok
}
