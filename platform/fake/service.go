package fake

import "kpm/core/port"

// ServiceManager keeps what the service tells it.
type ServiceManager struct {
	// Told receives "ready" and "stopping".
	Told chan string
}

var _ port.ServiceManager = (*ServiceManager)(nil)

// NewServiceManager returns a manager that has been told nothing.
func NewServiceManager() *ServiceManager { return &ServiceManager{Told: make(chan string, 8)} }

// Ready implements port.ServiceManager.
func (m *ServiceManager) Ready() error {
	m.Told <- "ready"
	return nil
}

// Stopping implements port.ServiceManager.
func (m *ServiceManager) Stopping() error {
	m.Told <- "stopping"
	return nil
}
