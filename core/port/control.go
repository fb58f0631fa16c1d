package port

import "context"

// ServiceControl has the machine's service manager start the agent with the
// machine, and start and stop it now. Its methods are an administrator's.
type ServiceControl interface {
	// Install registers the agent at root, to be started with the machine. It does
	// not start it. It is not an error if it is registered already, with that root.
	Install(ctx context.Context, root string) error
	// Uninstall stops the service and takes its registration back. The agent's files
	// stay. It is not an error if there is none.
	Uninstall(ctx context.Context) error
	// Start returns when requests are served; it is not an error if they are
	// already. Stop returns when the service has stopped. Commands that it has
	// started for people go on.
	Start(ctx context.Context) error
	Stop(ctx context.Context) error
	Status(ctx context.Context) (ServiceStatus, error)
}

// ServiceStatus is what the manager says of the service.
type ServiceStatus struct {
	Manager   string // "systemd", "service control manager" or "launchd"
	Installed bool
	AtBoot    bool   // it is started with the machine
	State     string // "running", "starting", "stopping", "stopped" or "failed"
	PID       int    // 0 while it does not run
	Detail    string // in the manager's words, if it has any
}

// States of a ServiceStatus.
const (
	ServiceRunning  = "running"
	ServiceStarting = "starting"
	ServiceStopping = "stopping"
	ServiceStopped  = "stopped"
	ServiceFailed   = "failed"
)
