package admincli

import (
	"context"
	"errors"
	"strings"
	"testing"

	"kpm/core/port"
)

// manager is a service manager.
type manager struct {
	status port.ServiceStatus
	did    []string
	fails  error
}

func (m *manager) do(what, state string, installed bool) error {
	if m.fails != nil {
		return m.fails
	}
	m.did = append(m.did, what)
	m.status.State, m.status.Installed, m.status.AtBoot = state, installed, installed
	return nil
}

func (m *manager) Install(_ context.Context, root string) error {
	return m.do("install "+root, port.ServiceStopped, true)
}
func (m *manager) Uninstall(context.Context) error {
	return m.do("uninstall", port.ServiceStopped, false)
}
func (m *manager) Start(context.Context) error { return m.do("start", port.ServiceRunning, true) }
func (m *manager) Stop(context.Context) error  { return m.do("stop", port.ServiceStopped, true) }
func (m *manager) Status(context.Context) (port.ServiceStatus, error) {
	return m.status, m.fails
}

func TestServiceCommands(t *testing.T) {
	root := t.TempDir()
	m := &manager{status: port.ServiceStatus{Manager: "systemd", State: port.ServiceStopped}}
	cfg := altered(func(h *port.Host) { h.Control = m })
	for _, c := range []struct {
		command, out string
		code         int
	}{
		{"status", "systemd does not know the service: KeeperAdminCLI service install\n", exitFault},
		{"install", "stopped, started with the machine (systemd)\n", exitOK},
		{"status", "stopped, started with the machine (systemd)\n", exitFault},
		{"start", "running, started with the machine (systemd)\n", exitOK},
		{"status --json", `{"manager":"systemd","installed":true,"atBoot":true,"state":"running"}` + "\n", exitOK},
		{"stop --json", `{"manager":"systemd","installed":true,"atBoot":true,"state":"stopped"}` + "\n", exitOK},
		{"uninstall", "systemd does not know the service: KeeperAdminCLI service install\n", exitOK},
	} {
		code, out, diag := doOn(cfg, append([]string{"service"}, append(strings.Fields(c.command), "--root", root)...)...)
		if code != c.code || out != c.out || diag != "" {
			t.Errorf("%s: %d %q %q", c.command, code, out, diag)
		}
	}
	if got := strings.Join(m.did, ", "); got != "install "+root+", start, stop, uninstall" {
		t.Errorf("done: %s", got)
	}
	m.fails = errors.New("no answer\x1b[2J")
	for _, command := range []string{"install", "uninstall", "start", "stop", "status"} {
		code, out, diag := doOn(cfg, "service", command, "--root", root)
		if code != exitUsage || out != "" || diag != "KeeperAdminCLI: no answer\uFFFD[2J\n" {
			t.Errorf("%s: %d %q %q", command, code, out, diag)
		}
	}
}
