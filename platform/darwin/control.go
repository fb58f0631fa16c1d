//go:build darwin

package darwin

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"kpm/core/port"
	"kpm/platform/darwin/tool"
)

// ServiceControl asks launchd, by its tool: the interface below that is not
// published.
type ServiceControl struct{}

var _ port.ServiceControl = ServiceControl{}

// launchdTime bounds what launchd takes to start or stop the service.
const launchdTime = 30 * time.Second

// launchctl runs one subcommand, and has its answer also where it refused.
func launchctl(ctx context.Context, args ...string) (said, error) {
	return ask(ctx, launchdTime, append([]string{tool.Launchctl}, args...), "")
}

// Install implements port.ServiceControl.
func (ServiceControl) Install(_ context.Context, root string) error {
	return Files{}.WriteAtomic(tool.DaemonFile, tool.Daemon(root), 0o644)
}

// Uninstall implements port.ServiceControl.
func (c ServiceControl) Uninstall(ctx context.Context) error {
	if err := c.Stop(ctx); err != nil {
		return err
	}
	if err := os.Remove(tool.DaemonFile); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// Start implements port.ServiceControl.
func (c ServiceControl) Start(ctx context.Context) error {
	status, err := c.Status(ctx)
	if err != nil || status.State == port.ServiceRunning {
		return err
	}
	answer, err := launchctl(ctx, "bootstrap", "system", tool.DaemonFile)
	if err == nil && answer.status != 0 {
		answer, err = launchctl(ctx, "kickstart", tool.Service) // it is known, and has stopped
	}
	if err == nil && answer.status != 0 {
		err = fmt.Errorf("launchd: start %s: %s", tool.Label, answer.errors)
	}
	return err
}

// Stop implements port.ServiceControl.
func (c ServiceControl) Stop(ctx context.Context) error {
	answer, err := launchctl(ctx, "bootout", tool.Service)
	if err != nil || answer.status == 0 {
		return err
	}
	if status, err := c.Status(ctx); err != nil || status.State == port.ServiceStopped {
		return err
	}
	return fmt.Errorf("launchd: stop %s: %s", tool.Label, answer.errors)
}

// Status implements port.ServiceControl.
func (ServiceControl) Status(ctx context.Context) (port.ServiceStatus, error) {
	status := port.ServiceStatus{Manager: "launchd", State: port.ServiceStopped}
	if _, err := os.Stat(tool.DaemonFile); err == nil {
		status.Installed, status.AtBoot = true, true
	} else if !errors.Is(err, fs.ErrNotExist) {
		return status, err
	}
	answer, err := launchctl(ctx, "print", tool.Service)
	if err != nil || answer.status != 0 { // launchd does not know it
		return status, err
	}
	status.State, status.PID = tool.Printed(answer.output)
	return status, nil
}
