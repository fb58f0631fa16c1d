package plugins

import (
	"time"

	"kpm/core"
)

// State is a plugin's published health.
type State string

// The published states; Stopped is ours, for a plugin that is not meant to run.
const (
	Healthy   State = "Healthy"   // runs, is connected and has its primary subscription
	Unhealthy State = "Unhealthy" // runs without them, or waits to be restarted
	Starting  State = "Starting"
	Stopping  State = "Stopping"
	Failed    State = "Failed" // should run and will not until somebody acts
	Stopped   State = "Stopped"
)

// Status is one plugin as GET /api/plugins lists it.
type Status struct {
	ID     string `json:"id"`
	Name   string `json:"name"`
	Status State  `json:"status"`
	// ProcessID is 0 when no process runs.
	ProcessID     int        `json:"processId"`
	LastStartTime *time.Time `json:"lastStartTime"`
	// LastError says why the plugin does not run, or why it last ended.
	LastError string `json:"lastError,omitempty"`
	// Restarts counts automatic restarts since the service or a person
	// started the plugin.
	Restarts int `json:"restarts"`
}

// Errors of StartPlugin, StopPlugin and RestartPlugin.
var (
	ErrUnknown  = core.NewError(core.NotFound, "no such plugin")
	ErrRunning  = core.NewError(core.Conflict, "the plugin is running")
	ErrDisabled = core.NewError(core.Conflict, "the plugin cannot run")
	ErrClosed   = core.NewError(core.Conflict, "the service is stopping")
)
