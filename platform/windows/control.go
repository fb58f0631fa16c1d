//go:build windows

package windows

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/svc"
	"golang.org/x/sys/windows/svc/mgr"

	"kpm/core/port"
)

// ServiceControl asks the service control manager.
type ServiceControl struct{}

var _ port.ServiceControl = ServiceControl{}

// pollService is how often the manager is asked whether it is done.
const pollService = 100 * time.Millisecond

// Install implements port.ServiceControl.
func (ServiceControl) Install(_ context.Context, root string) error {
	err := Install(filepath.Join(root, "KeeperPrivilegeManager.exe"), "service", "--root", root)
	if errors.Is(err, windows.ERROR_SERVICE_EXISTS) {
		return nil
	}
	return err
}

// Uninstall implements port.ServiceControl.
func (ServiceControl) Uninstall(ctx context.Context) error { return Uninstall(ctx) }

// withService has f ask about the service.
func withService(f func(s *mgr.Service) error) error {
	m, err := mgr.Connect()
	if err != nil {
		return fmt.Errorf("service control manager: %w", explain(err))
	}
	defer m.Disconnect()
	s, err := m.OpenService(ServiceName)
	if err != nil {
		return fmt.Errorf("service control manager: open %s: %w", ServiceName, err)
	}
	defer s.Close()
	return f(s)
}

// Start implements port.ServiceControl.
func (ServiceControl) Start(ctx context.Context) error {
	return withService(func(s *mgr.Service) error {
		if err := s.Start(); err != nil && !errors.Is(err, windows.ERROR_SERVICE_ALREADY_RUNNING) {
			return fmt.Errorf("service control manager: start %s: %w", ServiceName, err)
		}
		return await(ctx, s, svc.Running)
	})
}

// Stop implements port.ServiceControl.
func (ServiceControl) Stop(ctx context.Context) error {
	return withService(func(s *mgr.Service) error {
		if _, err := s.Control(svc.Stop); err != nil && !errors.Is(err, windows.ERROR_SERVICE_NOT_ACTIVE) {
			return fmt.Errorf("service control manager: stop %s: %w", ServiceName, err)
		}
		return await(ctx, s, svc.Stopped)
	})
}

// await waits until the service is in a state. One that was to run and has stopped
// does not come.
func await(ctx context.Context, s *mgr.Service, want svc.State) error {
	for {
		status, err := s.Query()
		if err != nil {
			return fmt.Errorf("service control manager: ask about %s: %w", ServiceName, err)
		}
		switch status.State {
		case want:
			return nil
		case svc.Stopped:
			return fmt.Errorf("service control manager: %s has stopped again: the event log says why", ServiceName)
		}
		select {
		case <-time.After(pollService):
		case <-ctx.Done():
			return fmt.Errorf("service control manager: %s: %w", ServiceName, ctx.Err())
		}
	}
}

var serviceStates = map[svc.State]string{
	svc.Running: port.ServiceRunning, svc.StartPending: port.ServiceStarting, svc.StopPending: port.ServiceStopping, svc.Stopped: port.ServiceStopped,
}

// Status implements port.ServiceControl.
func (ServiceControl) Status(context.Context) (port.ServiceStatus, error) {
	found := port.ServiceStatus{Manager: "service control manager", State: port.ServiceStopped}
	err := withService(func(s *mgr.Service) error {
		found.Installed = true
		config, err := s.Config()
		if err != nil {
			return err
		}
		status, err := s.Query()
		if err != nil {
			return err
		}
		found.AtBoot = config.StartType == mgr.StartAutomatic
		found.State, found.PID = serviceStates[status.State], int(status.ProcessId)
		if found.State == "" {
			found.State = fmt.Sprintf("state %d", status.State)
		}
		if status.State == svc.Stopped && status.Win32ExitCode != 0 && status.Win32ExitCode != uint32(windows.ERROR_SERVICE_NEVER_STARTED) {
			found.State, found.Detail = port.ServiceFailed, fmt.Sprintf("exit code %d", status.Win32ExitCode)
		}
		return nil
	})
	if errors.Is(err, windows.ERROR_SERVICE_DOES_NOT_EXIST) {
		return found, nil
	}
	return found, err
}
