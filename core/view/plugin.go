package view

import (
	"time"

	"kpm/core"
)

// PluginState is a plugin's published health.
type PluginState string

// The published states; Stopped is ours, for a plugin that is not meant to run.
const (
	Healthy   PluginState = "Healthy"   // runs, and has on the broker what its file promises
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

// PluginHealth is what is known of a plugin's process (GET
// /api/plugins/{name}/health).
type PluginHealth struct {
	ID     string      `json:"id"`
	Status PluginState `json:"status"`
	// Monitored says that an exit which nobody asked for is a fault.
	Monitored bool `json:"monitored"`
	// ProcessID and UptimeSeconds are 0 while the plugin does not run.
	ProcessID     int       `json:"processId"`
	UptimeSeconds float64   `json:"uptimeSeconds"`
	LastStartTime time.Time `json:"lastStartTime,omitzero"`
	// Restarts are those by the agent since somebody started the plugin.
	Restarts int `json:"restarts"`
	// LastExit says how the last process ended, and LastStderr what it wrote
	// last to its standard error, line by line; empty if none has ended.
	LastExit   string   `json:"lastExit,omitempty"`
	LastStderr []string `json:"lastStderr,omitempty"`
	Detail     string   `json:"detail,omitempty"`
	// Instances are those of a plugin that runs in users' sessions; the fields
	// above are of the one that is worst off.
	Instances []PluginInstance `json:"instances,omitempty"`
}

// PluginInstance is a plugin in one session of a user.
type PluginInstance struct {
	Session   core.SessionID `json:"session"`
	User      string         `json:"user"`
	Status    PluginState    `json:"status"`
	ProcessID int            `json:"processId"`
	Detail    string         `json:"detail,omitempty"`
}

// Monitoring is the state of what watches the plugins (GET
// /api/plugins/monitoring), with its settings.
type Monitoring struct {
	IntervalSeconds      float64        `json:"intervalSeconds"`
	Checks               int            `json:"checks"` // so far
	LastCheck            time.Time      `json:"lastCheck,omitzero"`
	BreakerLimit         int            `json:"breakerLimit"`
	BreakerWindowSeconds float64        `json:"breakerWindowSeconds"`
	MaxBackoffSeconds    float64        `json:"maxBackoffSeconds"`
	Plugins              []PluginHealth `json:"plugins"`
}

// Reloaded says what reading all files again has changed (POST /api/system/reload).
// When it is answered, that is in force.
type Reloaded struct {
	Settings        []string        `json:"settings"` // of appsettings.json, in force
	RestartRequired []string        `json:"restartRequired"`
	Jobs            []string        `json:"jobs"`
	Plugins         PluginsReloaded `json:"plugins"`
	// Problems say, a sentence each, what could not be used: there what was before
	// stays in force.
	Problems []string `json:"problems"`
}

// PluginsReloaded says what reading the plugin files again has changed (POST
// /api/plugins/reload): ids, and for those whose file cannot be used why.
type PluginsReloaded struct {
	Added     []string          `json:"added"`
	Removed   []string          `json:"removed"`
	Restarted []string          `json:"restarted"` // what their file says of how they run has changed
	Settings  []string          `json:"settings"`  // only settings have changed
	Broken    map[string]string `json:"broken"`
}
