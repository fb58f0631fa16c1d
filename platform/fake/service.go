package fake

import (
	"sync"
	"time"

	"kpm/core/port"
)

// ServiceManager keeps what the service tells it.
type ServiceManager struct {
	// Told receives "ready", "reloading" and "stopping".
	Told chan string
	// Wants is what Watchdog answers.
	Wants time.Duration

	mu     sync.Mutex
	status string
	alive  int
}

var _ port.ServiceManager = (*ServiceManager)(nil)

// NewServiceManager returns a manager that has been told nothing.
func NewServiceManager() *ServiceManager { return &ServiceManager{Told: make(chan string, 8)} }

// Ready implements port.ServiceManager.
func (m *ServiceManager) Ready() error {
	m.Told <- "ready"
	return nil
}

// Reloading implements port.ServiceManager.
func (m *ServiceManager) Reloading() error {
	m.Told <- "reloading"
	return nil
}

// Stopping implements port.ServiceManager.
func (m *ServiceManager) Stopping() error {
	m.Told <- "stopping"
	return nil
}

// Status implements port.ServiceManager.
func (m *ServiceManager) Status(text string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.status = text
	return nil
}

// Watchdog implements port.ServiceManager.
func (m *ServiceManager) Watchdog() time.Duration { return m.Wants }

// Alive implements port.ServiceManager.
func (m *ServiceManager) Alive() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.alive++
	return nil
}

// Heard returns the last Status, and how often Alive was called.
func (m *ServiceManager) Heard() (status string, alive int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.status, m.alive
}
