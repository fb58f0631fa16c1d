package none

import "kpm/core/port"

// ServiceManager implements port.ServiceManager: there is nobody to tell.
type ServiceManager struct{}

var _ port.ServiceManager = ServiceManager{}

// Ready implements port.ServiceManager.
func (ServiceManager) Ready() error { return nil }

// Stopping implements port.ServiceManager.
func (ServiceManager) Stopping() error { return nil }
