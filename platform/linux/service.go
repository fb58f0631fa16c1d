//go:build linux

package linux

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"kpm/core/port"
)

// ServiceManager tells systemd, or whatever else has set NOTIFY_SOCKET, about the
// service (sd_notify(3)).
type ServiceManager struct{}

var _ port.ServiceManager = ServiceManager{}

// Ready implements port.ServiceManager.
func (ServiceManager) Ready() error { return notifyManager("READY=1") }

// Reloading implements port.ServiceManager. The time is what systemd's
// Type=notify-reload wants to tell one reload from another.
func (ServiceManager) Reloading() error {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		return fmt.Errorf("service manager: %w", err)
	}
	return notifyManager(fmt.Sprintf("RELOADING=1\nMONOTONIC_USEC=%d", now.Nano()/1000))
}

// Stopping implements port.ServiceManager.
func (ServiceManager) Stopping() error { return notifyManager("STOPPING=1") }

// Status implements port.ServiceManager.
func (ServiceManager) Status(text string) error {
	return notifyManager("STATUS=" + strings.ReplaceAll(text, "\n", "; "))
}

// Watchdog implements port.ServiceManager (sd_watchdog_enabled(3)).
func (ServiceManager) Watchdog() time.Duration {
	micros, err := strconv.ParseInt(os.Getenv("WATCHDOG_USEC"), 10, 64)
	pid := os.Getenv("WATCHDOG_PID")
	if err != nil || micros <= 0 || pid != "" && pid != strconv.Itoa(os.Getpid()) {
		return 0
	}
	return time.Duration(micros) * time.Microsecond
}

// Alive implements port.ServiceManager.
func (ServiceManager) Alive() error { return notifyManager("WATCHDOG=1") }

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
