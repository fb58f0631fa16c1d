package api

import (
	"net/http"
	"strings"
)

// Settings knows the settings of plugins.
type Settings interface {
	// All returns the effective settings of a plugin, or of the service under
	// the name KeeperPrivilegeManager; false if there is no such plugin.
	All(plugin string) (map[string]string, bool)
}

// settingOperations read the effective settings of plugins.
func settingOperations(settings Settings) group {
	s := settingHandlers{settings}
	return group{
		operations: []operation{{
			method: http.MethodGet, path: "/api/PluginSettings/{plugin}", access: pluginTierOrOwn, handle: s.all,
			id: "pluginSettings", summary: "Effective settings of a plugin",
			description: "`KeeperPrivilegeManager` is the service's own set; it holds `broker.host` and `broker.port`.",
			answer:      answer{status: http.StatusOK, description: "The merged settings, flat", schema: `{"type": "object", "additionalProperties": {"type": "string"}}`},
			notFound:    codeUnknownPlugin,
		}, {
			method: http.MethodGet, path: "/api/PluginSettings/{plugin}/{setting}", access: pluginTierOrOwn, handle: s.one,
			id: "pluginSetting", summary: "One effective setting of a plugin",
			answer:   answer{status: http.StatusOK, description: "The value", schema: `{"type": "string"}`},
			notFound: codeUnknownSetting,
		}},
		parameters: map[string]parameter{
			"plugin":  {"A plugin's id, or KeeperPrivilegeManager", 256},
			"setting": {"A setting's name, in any case", 1024},
		},
	}
}

type settingHandlers struct{ settings Settings }

func (s settingHandlers) find(c *call) (map[string]string, error) {
	all, ok := s.settings.All(c.values["plugin"])
	if !ok {
		return nil, problem(codeUnknownPlugin, "there is no plugin %q", c.values["plugin"])
	}
	return all, nil
}

func (s settingHandlers) all(c *call) (any, error) {
	all, err := s.find(c)
	if all == nil && err == nil {
		all = map[string]string{} // never null
	}
	return all, err
}

func (s settingHandlers) one(c *call) (any, error) {
	all, err := s.find(c)
	if err != nil {
		return nil, err
	}
	name := c.values["setting"]
	if value, ok := all[name]; ok {
		return value, nil
	}
	for key, value := range all { // keys are read case-insensitively
		if strings.EqualFold(key, name) {
			return value, nil
		}
	}
	return nil, problem(codeUnknownSetting, "plugin %s has no setting %q", c.values["plugin"], name)
}
