package plugins

import "kpm/core"

// Errors of StartPlugin, StopPlugin and RestartPlugin.
var (
	ErrUnknown  = core.NewError(core.NotFound, "no such plugin")
	ErrRunning  = core.NewError(core.Conflict, "the plugin is running")
	ErrDisabled = core.NewError(core.Conflict, "the plugin cannot run")
	ErrFailed   = core.NewError(core.Conflict, "the plugin cannot be started")
	ErrClosed   = core.NewError(core.Conflict, "the service is stopping")

	errReplaced = core.NewError(core.Conflict, "the plugin's file has changed, or is gone")
)
