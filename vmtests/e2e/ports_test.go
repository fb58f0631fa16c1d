//go:build linux

package e2e

import (
	"bufio"
	"fmt"
	"net"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"kpm/vmtests/agent"
)

// holder is somebody else's program that listens on two ports: on one as the
// service would, on the other on ::1 alone.
const holder = `
import socket, sys
a = socket.create_server(("127.0.0.1", 0))
b = socket.create_server(("::1", 0), family=socket.AF_INET6)
print(a.getsockname()[1], b.getsockname()[1], flush=True)
sys.stdin.read()
`

// TestPortInUse: a busy port is reported with its holder and not advertised,
// and everything else works. When the holder goes, the service takes it.
func TestPortInUse(t *testing.T) {
	other := exec.CommandContext(t.Context(), "/usr/bin/python3", "-c", holder)
	other.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 4343, Gid: 4343}}
	stdin, err := other.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := other.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	var https, mqtt int
	if _, err := fmt.Sscan(line, &https, &mqtt); err != nil {
		t.Fatal(err)
	}

	a := newAgent(t, allowAll, func(a *agent.Agent) {
		_ = a.Write("appsettings.json", fmt.Sprintf(`{"Settings":{"KestrelHttpPort":0,"KestrelHttpsPort":%d},"MqttBrokerSettings":{"Port":%d}}`, https, mqtt))
	})
	ports, err := a.Ports()
	if err != nil {
		t.Fatal(err)
	}
	if ports.HTTP == 0 || ports.HTTPS != 0 || ports.MQTT != 0 {
		t.Errorf("ports.json says %+v: expected the HTTP port and no other", ports)
	}
	for port, setting := range map[int]string{https: "Settings:KestrelHttpsPort", mqtt: "MqttBrokerSettings:Port"} {
		report := lineWith(a.Log(), "port="+strconv.Itoa(port))
		for _, want := range []string{"port in use", setting, fmt.Sprint("owner_pid=", other.Process.Pid), "owner_uid=4343"} {
			if !strings.Contains(report, want) {
				t.Errorf("the report on port %d does not say %q: %s", port, want, report)
			}
		}
	}
	// Door, bus and API do without.
	if out, err := a.Sudo(t.Context(), 4242, "id", "-u").CombinedOutput(); err != nil || string(out) != "0\n" {
		t.Errorf("%v: %s", err, out)
	}
	if out, err := a.Admin(t.Context(), "status"); err != nil {
		t.Errorf("%v: %s", err, out)
	}

	if err := stdin.Close(); err != nil {
		t.Fatal(err)
	}
	if err := other.Wait(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "both ports are the service's", func() bool {
		ports, err := a.Ports()
		return err == nil && ports.HTTPS == https && ports.MQTT == mqtt
	})
	for _, host := range []string{"127.0.0.1", "::1"} {
		for _, port := range []int{https, mqtt} {
			conn, err := net.Dial("tcp", net.JoinHostPort(host, strconv.Itoa(port)))
			if err != nil {
				t.Error(err)
				continue
			}
			conn.Close()
		}
	}
}

// lineWith returns the first line of text that holds part.
func lineWith(text, part string) string {
	for line := range strings.Lines(text) {
		if strings.Contains(line, part) {
			return line
		}
	}
	return ""
}
