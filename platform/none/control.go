package none

import (
	"context"
	"errors"
	"fmt"

	"kpm/core/port"
)

// ServiceControl implements port.ServiceControl: there is nothing to register with.
type ServiceControl struct{}

var _ port.ServiceControl = ServiceControl{}

var errNoManager = fmt.Errorf("this system has no service manager that is known here: %w", errors.ErrUnsupported)

// Install implements port.ServiceControl.
func (ServiceControl) Install(context.Context, string) error { return errNoManager }

// Uninstall implements port.ServiceControl.
func (ServiceControl) Uninstall(context.Context) error { return errNoManager }

// Start implements port.ServiceControl.
func (ServiceControl) Start(context.Context) error { return errNoManager }

// Stop implements port.ServiceControl.
func (ServiceControl) Stop(context.Context) error { return errNoManager }

// Status implements port.ServiceControl.
func (ServiceControl) Status(context.Context) (port.ServiceStatus, error) {
	return port.ServiceStatus{}, errNoManager
}
