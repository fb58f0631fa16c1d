package api

import (
	"context"
	"net/http"

	"kpm/core/view"
)

// Plugins knows the plugins.
type Plugins interface {
	// List returns every registered plugin, broken ones too, by id.
	List() []view.Plugin
	// Health returns what is known of one plugin's process. The error is of kind
	// NotFound.
	Health(id string) (view.PluginHealth, error)
	// Monitoring returns the state of what watches the plugins.
	Monitoring() view.Monitoring
}

// PluginControl starts and stops plugins. Errors are of kind NotFound or Conflict
// and say why.
type PluginControl interface {
	// StartPlugin returns when the plugin is healthy, or has had its time.
	StartPlugin(ctx context.Context, id string) error
	StopPlugin(ctx context.Context, id string) error
	RestartPlugin(ctx context.Context, id string) error
	// Reload reads the plugin files again.
	Reload(ctx context.Context) (view.PluginsReloaded, error)
}

func pluginOperations(plugins Plugins, control PluginControl) group {
	h := pluginHandlers{plugins, control}
	change := operation{
		method: http.MethodPost, access: adminTier,
		answer:   answer{status: http.StatusOK, description: "What has become of it", schema: ref("PluginHealth")},
		notFound: codeUnknownPlugin, problems: []int{http.StatusConflict, http.StatusInternalServerError},
	}
	start, stop, restart := change, change, change
	start.path, start.id, start.summary = "/api/plugins/{name}/start", "startPlugin", "Start a plugin"
	start.description = "Also one that was given up. Answers when it is healthy or has had its time to become it; `status` says which."
	start.handle = h.start
	stop.path, stop.id, stop.summary = "/api/plugins/{name}/stop", "stopPlugin", "Stop a plugin"
	stop.description = "It stays stopped until it is started again, or the service is."
	stop.handle = h.stop
	restart.path, restart.id, restart.summary = "/api/plugins/{name}/restart", "restartPlugin", "Stop a plugin and start it again"
	restart.handle = h.restart
	return group{
		operations: []operation{{
			method: http.MethodGet, path: "/api/plugins", access: pluginTier,
			handle: func(*call) (any, error) {
				return append([]view.Plugin{}, plugins.List()...), nil // never null
			},
			id: "listPlugins", summary: "List the plugins",
			answer: answer{status: http.StatusOK, description: "Every registered plugin", schema: listOf("Plugin")},
		}, {
			method: http.MethodGet, path: "/api/plugins/{name}/health", access: pluginTier, handle: h.health,
			id: "pluginHealth", summary: "Health of a plugin and its process",
			answer:   answer{status: http.StatusOK, description: "What is known of it", schema: ref("PluginHealth")},
			notFound: codeUnknownPlugin,
		}, {
			method: http.MethodGet, path: "/api/plugins/monitoring", access: pluginTier,
			handle: func(*call) (any, error) { return plugins.Monitoring(), nil },
			id:     "pluginMonitoring", summary: "State of the monitoring, and health of every plugin",
			answer: answer{status: http.StatusOK, description: "Its settings, when it looked last, and what it knows", schema: ref("Monitoring")},
		}, start, stop, restart, {
			method: http.MethodPost, path: "/api/plugins/reload", access: adminTier, handle: h.reload,
			id: "reloadPlugins", summary: "Read the plugin files again",
			description: "Plugins whose file says the same as before are not touched.",
			answer:      answer{status: http.StatusOK, description: "What has changed", schema: ref("PluginsReloaded")},
			problems:    []int{http.StatusConflict, http.StatusInternalServerError}, explains: true,
		}},
		parameters: map[string]parameter{"name": {"A plugin's id, in any letter case", 64}},
		schemas:    pluginSchemas(),
	}
}

type pluginHandlers struct {
	plugins Plugins
	control PluginControl
}

func (h pluginHandlers) health(c *call) (any, error) {
	found, err := h.plugins.Health(c.values["name"])
	if err != nil {
		return nil, err
	}
	return found, nil
}

// then changes a plugin and answers with what has become of it. It goes on if the
// caller hangs up: a plugin is stopped whole, or started.
func (h pluginHandlers) then(c *call, change func(context.Context, string) error) (any, error) {
	if err := change(context.WithoutCancel(c.Context()), c.values["name"]); err != nil {
		return nil, err
	}
	return h.health(c)
}

func (h pluginHandlers) start(c *call) (any, error)   { return h.then(c, h.control.StartPlugin) }
func (h pluginHandlers) stop(c *call) (any, error)    { return h.then(c, h.control.StopPlugin) }
func (h pluginHandlers) restart(c *call) (any, error) { return h.then(c, h.control.RestartPlugin) }

func (h pluginHandlers) reload(c *call) (any, error) {
	done, err := h.control.Reload(context.WithoutCancel(c.Context()))
	if err != nil {
		return nil, err
	}
	return done, nil
}
