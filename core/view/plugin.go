package view

import "time"

// PluginState is a plugin's published health.
type PluginState string

// The published states; Stopped is ours, for a plugin that is not meant to run.
const (
	Healthy   PluginState = "Healthy"   // runs, is connected and has its primary subscription
	Unhealthy PluginState = "Unhealthy" // runs without them, or waits to be restarted
	Starting  PluginState = "Starting"
	Stopping  PluginState = "Stopping"
	Failed    PluginState = "Failed" // should run and will not until somebody acts
	Stopped   PluginState = "Stopped"
)

// Plugin is one plugin, as GET /api/plugins lists it.
type Plugin struct {
	ID     string      `json:"id"`
	Name   string      `json:"name"`
	Status PluginState `json:"status"`
	// ProcessID is 0 while the plugin does not run.
	ProcessID int `json:"processId"`
	// LastStartTime is in UTC; zero if the plugin has never run.
	LastStartTime time.Time `json:"lastStartTime,omitzero"`
	// Detail says why the plugin does not run, or why it last ended; empty if
	// there is nothing to say.
	Detail string `json:"detail,omitempty"`
}
