//go:build linux

package linux

import (
	"fmt"
	"net"
	"os"

	"kpm/core/port"
)

// ServiceManager tells systemd, or whatever else has set NOTIFY_SOCKET, about the
// service (sd_notify(3)).
type ServiceManager struct{}

var _ port.ServiceManager = ServiceManager{}

// Ready implements port.ServiceManager.
func (ServiceManager) Ready() error { return notifyManager("READY=1") }

// Stopping implements port.ServiceManager.
func (ServiceManager) Stopping() error { return notifyManager("STOPPING=1") }

// notifyManager sends one state. Without a manager there is nobody to tell.
func notifyManager(state string) error {
	name := os.Getenv("NOTIFY_SOCKET")
	if name == "" {
		return nil
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		return fmt.Errorf("service manager: %w", err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte(state)); err != nil {
		return fmt.Errorf("service manager: %s: %w", state, err)
	}
	return nil
}
