//go:build linux

package linux

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/godbus/dbus/v5"

	"kpm/core"
	"kpm/core/port"
	"kpm/platform/linux/file"
)

// ServiceControl asks systemd over the system bus (org.freedesktop.systemd1(5)).
// systemd's own socket, /run/systemd/private, needs no bus daemon, and forgets a
// first message that comes along with the end of the handshake.
type ServiceControl struct {
	etc string // for tests; empty means unitFolder
}

var _ port.ServiceControl = ServiceControl{}

const (
	unitName   = "keeper-privilege-manager.service"
	unitFolder = "/etc/systemd/system"
	// packagedRoot is the root that the unit is written for.
	packagedRoot   = "/opt/KeeperPrivilegeManager"
	systemdRuns    = "/run/systemd/system" // sd_booted(3)
	systemdName    = "org.freedesktop.systemd1"
	systemdPath    = "/org/freedesktop/systemd1"
	systemdManager = systemdName + ".Manager"
	systemdUnit    = systemdName + ".Unit"
	maxUnit        = 64 << 10 // bytes
	pollJob        = 50 * time.Millisecond
)

// ErrNoSystemd is wrapped where systemd does not run.
var ErrNoSystemd = core.NewError(core.Unsupported, "systemd does not run here; start the agent by hand: KeeperPrivilegeManager run")

// systemd is a connection to it.
type systemd struct {
	ctx  context.Context
	conn *dbus.Conn
}

func openSystemd(ctx context.Context) (*systemd, error) {
	if _, err := os.Stat(systemdRuns); err != nil {
		return nil, ErrNoSystemd
	}
	raw, err := (&net.Dialer{}).DialContext(ctx, "unix", systemBus)
	if err != nil {
		return nil, fmt.Errorf("systemd cannot be asked: system bus: %w; systemctl can do this without one", err)
	}
	conn, err := dbus.NewConn(raw, dbus.WithContext(ctx))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("system bus: %w", err), raw.Close())
	}
	if err = conn.Auth([]dbus.Auth{dbus.AuthExternal(strconv.Itoa(os.Geteuid()))}); err == nil {
		err = conn.Hello()
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("system bus: %w", err), conn.Close())
	}
	return &systemd{ctx, conn}, nil
}

func (s *systemd) call(method string, into any, args ...any) error {
	call := s.conn.Object(systemdName, systemdPath).CallWithContext(s.ctx, systemdManager+"."+method, 0, args...)
	err := call.Err
	if err == nil && into != nil {
		err = call.Store(into)
	}
	if err != nil {
		return fmt.Errorf("systemd: %s: %w", method, err)
	}
	return nil
}

// properties are those of the unit.
func (s *systemd) properties(of string) (map[string]dbus.Variant, error) {
	var unit dbus.ObjectPath
	if err := s.call("LoadUnit", &unit, unitName); err != nil {
		return nil, err
	}
	var all map[string]dbus.Variant
	err := s.conn.Object(systemdName, unit).CallWithContext(s.ctx, getProperties, 0, of).Store(&all)
	if err != nil {
		return nil, fmt.Errorf("systemd: %s: %w", unitName, err)
	}
	return all, nil
}

func word(all map[string]dbus.Variant, name string) string {
	text, _ := all[name].Value().(string)
	return text
}

// Install implements port.ServiceControl. A unit that a package brought is taken as
// it is; else the one in root is written for it.
func (c ServiceControl) Install(ctx context.Context, root string) error {
	s, err := openSystemd(ctx)
	if err != nil {
		return err
	}
	defer s.conn.Close()
	all, err := s.properties(systemdUnit)
	if err != nil {
		return err
	}
	own := filepath.Join(cmp.Or(c.etc, unitFolder), unitName)
	at := word(all, "FragmentPath")
	if at == "" || at == own {
		if err := writeUnit(root, own); err != nil {
			return err
		}
	} else if root != packagedRoot {
		return core.WithKind(core.Conflict, fmt.Errorf("%s starts the agent in %s: remove that package first", at, packagedRoot))
	}
	if err := s.call("Reload", nil); err != nil {
		return err
	}
	return s.call("EnableUnitFiles", nil, []string{unitName}, false, true)
}

// writeUnit writes the unit for an agent in root.
func writeUnit(root, path string) error {
	text, err := file.Files{}.ReadProtected(filepath.Join(root, unitName), maxUnit)
	if err != nil {
		return fmt.Errorf("the unit that comes with the agent: %w", err)
	}
	// What systemd would read as more than one word, or as one of its own.
	for _, r := range root {
		if r <= ' ' || r == '%' || r == '"' || r == '\'' || r == '\\' || r == '$' || r == ';' {
			return core.WithKind(core.Invalid, fmt.Errorf("agent root %q: %q cannot be in a unit's file; move the agent", root, r))
		}
	}
	if root != packagedRoot {
		const start = "/KeeperPrivilegeManager run"
		text = bytes.ReplaceAll(text, []byte(packagedRoot), []byte(root))
		text = bytes.ReplaceAll(text, []byte(start), []byte(start+" --root "+root))
	}
	return Files{}.WriteAtomic(path, text, 0o644)
}

// Uninstall implements port.ServiceControl. A unit that a package brought stays the
// package's.
func (c ServiceControl) Uninstall(ctx context.Context) error {
	s, err := openSystemd(ctx)
	if err != nil {
		return err
	}
	defer s.conn.Close()
	all, err := s.properties(systemdUnit)
	if err != nil {
		return err
	}
	if word(all, "LoadState") == "not-found" {
		return nil
	}
	if err := s.do("StopUnit"); err != nil {
		return err
	}
	if err := s.call("DisableUnitFiles", nil, []string{unitName}, false); err != nil {
		return err
	}
	if own := filepath.Join(cmp.Or(c.etc, unitFolder), unitName); word(all, "FragmentPath") == own {
		if err := os.Remove(own); err != nil {
			return err
		}
	}
	return s.call("Reload", nil)
}

// Start implements port.ServiceControl.
func (ServiceControl) Start(ctx context.Context) error { return changeUnit(ctx, "StartUnit") }

// Stop implements port.ServiceControl.
func (ServiceControl) Stop(ctx context.Context) error { return changeUnit(ctx, "StopUnit") }

func changeUnit(ctx context.Context, method string) error {
	s, err := openSystemd(ctx)
	if err != nil {
		return err
	}
	defer s.conn.Close()
	return s.do(method)
}

// do has a job of systemd's done, and waits for its end.
func (s *systemd) do(method string) error {
	var job dbus.ObjectPath
	if err := s.call(method, &job, unitName, "replace"); err != nil {
		return err
	}
	for {
		all, err := s.properties(systemdUnit)
		if err != nil {
			return err
		}
		// Job is (number, path); the number is 0 when nothing is to be done any more.
		waiting, _ := all["Job"].Value().([]any)
		if len(waiting) == 0 || waiting[0] == uint32(0) {
			if state := word(all, "ActiveState"); method == "StartUnit" && state != "active" {
				return fmt.Errorf("systemd: %s is %s: journalctl -u %s says more", unitName, state, unitName)
			}
			return nil
		}
		select {
		case <-time.After(pollJob):
		case <-s.ctx.Done():
			return fmt.Errorf("systemd: %s: %w", method, s.ctx.Err())
		}
	}
}

// activeStates are systemd's words for what the unit does.
var activeStates = map[string]string{
	"active": port.ServiceRunning, "reloading": port.ServiceRunning, "activating": port.ServiceStarting,
	"deactivating": port.ServiceStopping, "inactive": port.ServiceStopped, "failed": port.ServiceFailed,
}

// Status implements port.ServiceControl.
func (ServiceControl) Status(ctx context.Context) (port.ServiceStatus, error) {
	s, err := openSystemd(ctx)
	if err != nil {
		return port.ServiceStatus{}, err
	}
	defer s.conn.Close()
	unit, err := s.properties(systemdUnit)
	if err != nil {
		return port.ServiceStatus{}, err
	}
	status := port.ServiceStatus{
		Manager: "systemd", Installed: word(unit, "LoadState") != "not-found", AtBoot: word(unit, "UnitFileState") == "enabled",
		State: cmp.Or(activeStates[word(unit, "ActiveState")], word(unit, "ActiveState")),
	}
	if !status.Installed {
		return status, nil
	}
	service, err := s.properties(systemdName + ".Service")
	if err != nil {
		return port.ServiceStatus{}, err
	}
	pid, _ := service["MainPID"].Value().(uint32)
	status.PID, status.Detail = int(pid), word(service, "StatusText")
	return status, nil
}
