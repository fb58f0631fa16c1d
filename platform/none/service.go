package none

import (
	"time"

	"kpm/core/port"
)

// ServiceManager implements port.ServiceManager: there is nobody to tell.
type ServiceManager struct{}

var _ port.ServiceManager = ServiceManager{}

// Ready implements port.ServiceManager.
func (ServiceManager) Ready() error { return nil }

// Reloading implements port.ServiceManager.
func (ServiceManager) Reloading() error { return nil }

// Stopping implements port.ServiceManager.
func (ServiceManager) Stopping() error { return nil }

// Status implements port.ServiceManager.
func (ServiceManager) Status(string) error { return nil }

// Watchdog implements port.ServiceManager.
func (ServiceManager) Watchdog() time.Duration { return 0 }

// Alive implements port.ServiceManager.
func (ServiceManager) Alive() error { return nil }
