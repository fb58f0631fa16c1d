package api

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"

	"kpm/core"
	"kpm/core/strictjson"
	"kpm/core/view"
)

// agentWide is the name under which the service has settings.
const agentWide = serviceName

// Settings knows the settings of plugins, and changes them. Errors of changes are
// of kind NotFound, Invalid, Conflict, TooMany or Unavailable and told to the
// caller.
type Settings interface {
	// Explain returns the effective settings of a plugin, or of the service
	// under the name KeeperPrivilegeManager, and where each comes from; false if
	// there is no such plugin.
	Explain(plugin string) (map[string]view.Setting, bool)
	// Secret reports whether a setting is for its plugin and administrators
	// alone.
	Secret(plugin, key string) bool
	// Put returns when the value is durable and in force.
	Put(ctx context.Context, by core.Principal, plugin, key, value string) error
	// Revert forgets what was put and reads the plugin's file again.
	Revert(by core.Principal, plugin string) (keys []string, err error)
	RevertAll(by core.Principal) (map[string][]string, error)
}

// settingOperations read and change the settings of plugins.
func settingOperations(settings Settings) group {
	s := settingHandlers{settings}
	changes := []int{http.StatusConflict, http.StatusServiceUnavailable}
	return group{
		operations: []operation{{
			method: http.MethodGet, path: "/api/PluginSettings/{plugin}", access: settingReaders, handle: s.all,
			id: "pluginSettings", summary: "Effective settings of a plugin",
			description: "`KeeperPrivilegeManager` is the service's own set; it holds `broker.host` and `broker.port`, which every user may read. Secret settings are shown to their plugin and to administrators alone.",
			query:       []queryParameter{{"explain", "true: an object for each setting, with value, source (default, file, stored, service), file, by and at", `{"type": "string"}`}},
			answer: answer{status: http.StatusOK, description: "The merged settings, flat", schema: `{"type": "object", "additionalProperties": {"oneOf": [
				{"type": "string"}, {"$ref": "#/components/schemas/Setting"}]}}`},
			notFound: codeUnknownPlugin,
		}, {
			method: http.MethodGet, path: "/api/PluginSettings/{plugin}/{setting}", access: settingReaders, handle: s.one,
			id: "pluginSetting", summary: "One effective setting of a plugin",
			answer:   answer{status: http.StatusOK, description: "The value", schema: `{"type": "string"}`},
			notFound: codeUnknownSetting,
		}, {
			method: http.MethodPut, path: "/api/PluginSettings/{plugin}/{setting}", access: ownPluginOrAdmin, handle: s.put,
			id: "putPluginSetting", summary: "Store one setting of a plugin",
			description: "Durable and in force when it is answered; no restart. The plugin hears `SettingsChanged` on `PluginSettings/{plugin}` if it declares that topic.",
			body:        &body{required: true, schema: `{"oneOf": [{"type": "string", "maxLength": 65536}, {"type": "number"}, {"type": "boolean"}]}`},
			answer:      answer{status: http.StatusOK, description: "What holds now", schema: ref("SettingPut")},
			notFound:    codeUnknownPlugin, problems: changes,
		}, {
			method: http.MethodPost, path: "/api/PluginSettings/{plugin}/revert", access: ownPluginOrAdmin, handle: s.revert,
			id: "revertPluginSettings", summary: "Forget the stored settings of a plugin, and read its file again",
			answer:   answer{status: http.StatusOK, description: "The names of what was stored", schema: ref("SettingsReverted")},
			notFound: codeUnknownPlugin, problems: changes,
		}, {
			method: http.MethodPost, path: "/api/PluginSettings/revert-all", access: adminTier, handle: s.revertAll,
			id: "revertAllPluginSettings", summary: "Forget the stored settings of all plugins, and read their files again",
			answer:   answer{status: http.StatusOK, description: "The names of what was stored, by plugin", schema: ref("AllReverted")},
			problems: changes,
		}},
		parameters: map[string]parameter{
			"plugin":  {"A plugin's id, or KeeperPrivilegeManager", 256},
			"setting": {"A setting's name, in any case", 1024},
		},
		schemas: map[string]schema{
			"Setting": `{
				"type": "object",
				"required": ["value", "source"],
				"properties": {
					"value": {"type": "string", "description": "empty where the caller may not see it"},
					"source": {"type": "string", "enum": ["default", "file", "stored", "service"]},
					"file": {"type": "string"},
					"by": {"type": "string", "description": "who has stored it"},
					"at": {"type": "string", "format": "date-time"},
					"secret": {"type": "boolean"}
				},
				"additionalProperties": false
			}`,
			"SettingPut": `{
				"type": "object",
				"required": ["plugin", "setting", "source"],
				"properties": {
					"plugin": {"type": "string"},
					"setting": {"type": "string"},
					"value": {"type": "string", "description": "absent for a secret"},
					"source": {"type": "string"}
				},
				"additionalProperties": false
			}`,
			"SettingsReverted": `{
				"type": "object",
				"required": ["plugin", "reverted"],
				"properties": {"plugin": {"type": "string"}, "reverted": {"type": "array", "items": {"type": "string"}}},
				"additionalProperties": false
			}`,
			"AllReverted": `{
				"type": "object",
				"required": ["reverted"],
				"properties": {"reverted": {"type": "object", "additionalProperties": {"type": "array", "items": {"type": "string"}}}},
				"additionalProperties": false
			}`,
		},
	}
}

type settingHandlers struct{ settings Settings }

// find returns what the caller may know of a plugin's settings.
func (s settingHandlers) find(c *call) (map[string]view.Setting, error) {
	plugin := c.values["plugin"]
	all, ok := s.settings.Explain(plugin)
	if !ok {
		return nil, problem(codeUnknownPlugin, "there is no plugin %q", plugin)
	}
	// A user's own processes must find the broker, and nothing else.
	brokerOnly := c.who.Tier() < core.TierPlugin && !c.who.owns(plugin) && !c.granted
	seen := map[string]view.Setting{}
	for key, setting := range all {
		if brokerOnly && !strings.HasPrefix(key, "broker.") {
			continue
		}
		if setting.Secret = s.settings.Secret(plugin, key); setting.Secret && !c.who.owns(plugin) && c.who.Tier() < core.TierAdmin {
			setting.Value = ""
		}
		seen[key] = setting
	}
	return seen, nil
}

func (s settingHandlers) all(c *call) (any, error) {
	all, err := s.find(c)
	if err != nil {
		return nil, err
	}
	if strings.EqualFold(c.URL.Query().Get("explain"), "true") {
		return all, nil
	}
	flat := map[string]string{}
	for key, setting := range all {
		if !setting.Secret || setting.Value != "" {
			flat[key] = setting.Value
		}
	}
	return flat, nil
}

func (s settingHandlers) one(c *call) (any, error) {
	all, err := s.find(c)
	if err != nil {
		return nil, err
	}
	key, setting, ok := named(all, c.values["setting"])
	switch {
	case !ok:
		return nil, problem(codeUnknownSetting, "plugin %s has no setting %q", c.values["plugin"], c.values["setting"])
	case setting.Secret && setting.Value == "":
		return nil, problem(codeNotPermitted, "setting %s is secret: its plugin and administrators may read it", key)
	}
	return setting.Value, nil
}

// named finds a setting; its name is read case-insensitively.
func named(all map[string]view.Setting, name string) (key string, s view.Setting, ok bool) {
	if s, ok := all[name]; ok {
		return name, s, true
	}
	for key, s := range all {
		if strings.EqualFold(key, name) {
			return key, s, true
		}
	}
	return "", view.Setting{}, false
}

func (s settingHandlers) put(c *call) (any, error) {
	plugin, key := c.values["plugin"], c.values["setting"]
	body, err := c.readJSON()
	if err != nil {
		return nil, err
	}
	value, ok := scalar(body)
	if !ok {
		return nil, badBody("", "found %s, expected a string, a number, true or false", describe(body))
	}
	if err := s.settings.Put(c.Context(), c.who.Principal, plugin, key, value); err != nil {
		return nil, err
	}
	done := view.SettingPut{Plugin: plugin, Setting: key, Value: value, Source: "stored"}
	if s.settings.Secret(plugin, key) {
		done.Value = ""
	}
	return done, nil
}

// scalar is a JSON string, number or boolean as the text of a setting.
func scalar(v strictjson.Value) (string, bool) {
	switch {
	case v.IsString(), v.IsBool():
		return v.Text(), true
	case v.IsNumber():
		return json.Number(v.Raw()).String(), true
	}
	return "", false
}

func describe(v strictjson.Value) string {
	switch {
	case v.IsNull():
		return "null"
	case v.IsObject():
		return "an object"
	}
	return "a list"
}

func (s settingHandlers) revert(c *call) (any, error) {
	keys, err := s.settings.Revert(c.who.Principal, c.values["plugin"])
	if err != nil {
		return nil, err
	}
	return view.SettingsReverted{Plugin: c.values["plugin"], Reverted: keys}, nil
}

func (s settingHandlers) revertAll(c *call) (any, error) {
	all, err := s.settings.RevertAll(c.who.Principal)
	if err != nil {
		return nil, err
	}
	return view.AllReverted{Reverted: all}, nil
}
