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
// returns them: flat, strings only, what the plugin's file says over compiled
// defaults (docs/settings.md, "Settings of plugins"). Plugin ids and keys are
// found in any letter case, so KeeperApi is KeeperAPI (decision 7). It is safe
// for concurrent use and reads no files.
type Effective struct {
	layout Layout
	mu     sync.RWMutex
	plugin map[string]flat // by folded id (strictjson.Fold)
}

// flat maps a folded key to its name and value.
type flat map[string]struct{ name, value string }

func (f flat) put(name, value string) {
	f[strictjson.Fold(name)] = struct{ name, value string }{name, value}
}

func defaults() []struct{ plugin, key, value string } {
	return []struct{ plugin, key, value string }{
		{AgentWide, "broker.host", "127.0.0.1"},
		{"KeeperPolicy", "policy.enforceForAdministrators", "false"},
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
	e := &Effective{layout: l, plugin: map[string]flat{}}
	for _, d := range defaults() {
		e.lay(d.plugin)
	}
	return e
}

// lay puts the compiled defaults of a plugin.
func (e *Effective) lay(plugin string) {
	for _, d := range defaults() {
		if strings.EqualFold(d.plugin, plugin) {
			e.of(plugin).put(d.key, e.expand(d.value))
		}
	}
}

func (e *Effective) of(plugin string) flat {
	f, ok := e.plugin[strictjson.Fold(plugin)]
	if !ok {
		f = flat{}
		e.plugin[strictjson.Fold(plugin)] = f
	}
	return f
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
	f := e.of(AgentWide)
	f.put("broker.host", host)
	delete(f, strictjson.Fold("broker.port"))
	if port != 0 {
		f.put("broker.port", strconv.Itoa(port))
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
	// Begun anew: a file that is read again may have lost a key.
	delete(e.plugin, strictjson.Fold(plugin))
	e.lay(plugin)
	f := e.of(plugin)
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
	return nil
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

// All returns the settings of plugin, false when there is no such plugin. The
// map is the caller's own.
func (e *Effective) All(plugin string) (map[string]string, bool) {
	e.mu.RLock()
	defer e.mu.RUnlock()
	f, ok := e.plugin[strictjson.Fold(plugin)]
	all := make(map[string]string, len(f))
	for _, v := range f {
		all[v.name] = v.value
	}
	return all, ok
}

// Get returns one setting.
func (e *Effective) Get(plugin, key string) (string, bool) {
	e.mu.RLock()
	defer e.mu.RUnlock()
	v, ok := e.plugin[strictjson.Fold(plugin)][strictjson.Fold(key)]
	return v.value, ok
}
