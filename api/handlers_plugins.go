package api

import (
	"net/http"
	"strings"

	"kpm/core/view"
)

// Plugins knows the plugins.
type Plugins interface {
	// List returns every registered plugin, broken ones too, by id.
	List() []view.Plugin
}

func (s *Server) listPlugins(*call) (any, error) {
	return append([]view.Plugin{}, s.cfg.Plugins.List()...), nil // never null
}

// Settings knows the settings of plugins.
type Settings interface {
	// All returns the effective settings of a plugin, or of the service under
	// the name KeeperPrivilegeManager; false if there is no such plugin.
	All(plugin string) (map[string]string, bool)
}

func (s *Server) effective(c *call) (map[string]string, error) {
	settings, ok := s.cfg.Settings.All(c.values["plugin"])
	if !ok {
		return nil, problem(http.StatusNotFound, codeUnknownPlugin, "there is no plugin %q", c.values["plugin"])
	}
	return settings, nil
}

func (s *Server) pluginSettings(c *call) (any, error) {
	settings, err := s.effective(c)
	if settings == nil && err == nil {
		settings = map[string]string{} // never null
	}
	return settings, err
}

func (s *Server) pluginSetting(c *call) (any, error) {
	settings, err := s.effective(c)
	if err != nil {
		return nil, err
	}
	name := c.values["setting"]
	if value, ok := settings[name]; ok {
		return value, nil
	}
	for key, value := range settings { // keys are read case-insensitively
		if strings.EqualFold(key, name) {
			return value, nil
		}
	}
	return nil, problem(http.StatusNotFound, codeUnknownSetting, "plugin %s has no setting %q", c.values["plugin"], name)
}
