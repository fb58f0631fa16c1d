// Package doctor holds plugins against what the published guide asks of them: its
// checklist, item by item, and its troubleshooting table, row by row.
//
// It looks at facts that it is given, asks nobody and changes nothing.
package doctor

import (
	"kpm/core/view"
	"kpm/plugins"
)

// Facts are what is known of one plugin and of what is around it.
type Facts struct {
	plugins.Inspection
	// Unsigned says what the program's signature lacks; empty if nothing, or if
	// none is needed: Signature says which.
	Signature, Unsigned string
	// Refusals are what the bus refused this plugin lately; Subscriptions are its
	// filters there.
	Refusals []view.Refusal
	// Settings are its effective settings, AgentSettings the service's own.
	Settings, AgentSettings map[string]view.Setting
	// FileSettings are those that the file on the disk says now; nil if it
	// cannot be read.
	FileSettings map[string]string
	// Logger is the state of KeeperLogger.
	Logger view.PluginState
	// Jobs are those with a task that runs the same program.
	Jobs []string
}
