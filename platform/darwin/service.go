//go:build darwin

package darwin

import (
	"kpm/core/port"
	"kpm/platform/none"
)

// ServiceManager implements port.ServiceManager for launchd, which starts a daemon
// again when it has ended and is told nothing while it runs: there is no word for
// readiness, none for a state, and no watchdog. run/ports.json, /health and "status"
// say what systemd would be told.
//
// What launchd is told is a file (tool.Daemon), which
// "KeeperPrivilegeManager launchd" prints.
type ServiceManager struct{ none.ServiceManager }

var _ port.ServiceManager = ServiceManager{}
