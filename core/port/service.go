package port

import "time"

// ServiceManager is what starts the service with the machine (systemd, the
// service control manager, launchd). Without one, as in a terminal, its methods
// do nothing. An error means that the manager could not be told; the service
// goes on.
type ServiceManager interface {
	// Ready tells that requests are served from now on, or again.
	Ready() error
	// Reloading tells that files are being read again; Ready ends it.
	Reloading() error
	// Stopping tells that an orderly stop has begun.
	Stopping() error
	// Status tells in one sentence how the service is.
	Status(text string) error
	// Watchdog returns how often the manager wants to hear Alive; 0 is never. A
	// service that is silent for longer is ended and started again.
	Watchdog() time.Duration
	Alive() error
}
