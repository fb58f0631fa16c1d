package port

// ServiceManager is what starts the service with the machine (systemd, the
// service control manager, launchd). Without one, as in a terminal, its methods
// do nothing. An error means that the manager could not be told; the service
// goes on.
type ServiceManager interface {
	// Ready tells that requests are served from now on.
	Ready() error
	// Stopping tells that an orderly stop has begun.
	Stopping() error
}
