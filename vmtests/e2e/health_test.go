//go:build linux

package e2e

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"kpm/vmtests/agent"
)

// healthy reports what GET /health says.
func healthy(t *testing.T, a *agent.Agent) bool {
	t.Helper()
	client := a.Client()
	defer client.CloseIdleConnections()
	answer, err := client.Get("http://localhost/health")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	var said struct{ Status string }
	if err := json.NewDecoder(answer.Body).Decode(&said); err != nil {
		t.Fatal(err)
	}
	if (answer.StatusCode == http.StatusOK) != (said.Status == "healthy") {
		t.Errorf("/health is %s and says %s", answer.Status, said.Status)
	}
	return said.Status == "healthy"
}

// again starts the agent anew after a change.
func again(t *testing.T, a *agent.Agent, change func()) {
	t.Helper()
	if err := a.Stop(); err != nil {
		t.Fatal(err)
	}
	change()
	if _, err := a.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// TestStatusTellsTheTruth: whatever is in the way of an elevation, `status` exits
// with 1 and names it, /health says so, and the service's log says why.
func TestStatusTellsTheTruth(t *testing.T) {
	write := func(t *testing.T, a *agent.Agent, name, text string) {
		t.Helper()
		if err := a.Write(name, text); err != nil {
			t.Fatal(err)
		}
	}
	for name, tc := range map[string]struct {
		spoil func(t *testing.T, a *agent.Agent)
		says  string
		small bool // on a disk of its own
	}{
		"policies that cannot be used": {says: "everything is denied: ", spoil: func(t *testing.T, a *agent.Agent) {
			again(t, a, func() {
				if err := os.Chmod(filepath.Join(a.Root, "Policies"), 0o777); err != nil {
					t.Fatal(err)
				}
			})
		}},
		"a broken launch job": {says: "nothing can be launched: job LaunchPrivilegeElevation", spoil: func(t *testing.T, a *agent.Agent) {
			again(t, a, func() { write(t, a, "Jobs/LaunchPrivilegeElevation.json", `{"id": "LaunchPrivilegeElevation",`) })
		}},
		"a launch job that is switched off": {says: "nothing can be launched: job LaunchPrivilegeElevation does not run", spoil: func(t *testing.T, a *agent.Agent) {
			again(t, a, func() {
				write(t, a, "Jobs/LaunchPrivilegeElevation.json", strings.Replace(slowLaunch, `"enabled":true`, `"enabled":false`, 1))
			})
		}},
		"no KeeperPolicy": {says: "nothing can be decided: KeeperPolicy does not run: its file says enabled: false", spoil: func(t *testing.T, a *agent.Agent) {
			again(t, a, func() {
				data, err := os.ReadFile(filepath.Join(a.Root, "Plugins/KeeperPolicy.json"))
				if err != nil {
					t.Fatal(err)
				}
				write(t, a, "Plugins/KeeperPolicy.json", strings.Replace(string(data), "{", `{"enabled": false,`, 1))
			})
		}},
		"a KeeperPolicy that ends": {says: "nothing can be decided: KeeperPolicy does not run: it exited with status 3", spoil: func(t *testing.T, a *agent.Agent) {
			spoilPolicy(t, a)
		}},
		"a full disk": {small: true, says: "the journal cannot be written: ", spoil: func(t *testing.T, a *agent.Agent) { fill(t, a) }},
	} {
		t.Run(name, func(t *testing.T) {
			var a *agent.Agent
			if tc.small {
				a = agentOnSmallDisk(t)
			} else {
				a = newAgent(t, allowAll, nil)
			}
			if out, err := a.Admin(t.Context(), "status"); err != nil || !healthy(t, a) {
				t.Fatalf("before: %v: %s", err, out)
			}
			tc.spoil(t, a)
			eventually(t, "an elevation fails", func() bool { return a.Sudo(t.Context(), 4242, "id", "-u").Run() != nil })
			eventually(t, "/health says so", func() bool { return !healthy(t, a) })
			eventually(t, "status says "+tc.says, func() bool {
				out, err := a.Admin(t.Context(), "status")
				return err != nil && strings.Contains(out, tc.says)
			})
			if tc.small {
				t.Cleanup(func() { _ = os.Remove(filepath.Join(a.Root, "ballast")) })
			}
			eventually(t, "the log says why", func() bool {
				return strings.Contains(a.Log(), `msg="elevations cannot succeed"`) && strings.Contains(a.Log(), tc.says[:20])
			})
		})
	}
}

// publisher is a plugin without the broker: it might speak HTTP only.
const publisher = `{"id": "Publisher", "pluginType": "Executable", "executablePath": "bin/Publisher/Publisher",
 "supportedPlatforms": ["Linux"], "Subscription": {"Topic": "Publisher"},
 "metadata": {"mqttRole": ["publisher"], "mqttTopics": {"publish": ["KeeperLogger"], "subscribe": []}},
 "autoStart": true, "requiresMonitoring": true, "autoRestart": true}`

// TestAPluginThatOnlyPublishes: when the service is ready, a plugin that does not
// subscribe is healthy, whether it says so by its role or has no subscription.
func TestAPluginThatOnlyPublishes(t *testing.T) {
	for name, file := range map[string]string{
		"by its role":       publisher,
		"no subscription":   strings.NewReplacer(`"Subscription": {"Topic": "Publisher"},`, "", `"mqttRole": ["publisher"],`, "").Replace(publisher),
		"it speaks no MQTT": strings.Replace(publisher, `["publisher"]`, "[]", 1),
	} {
		t.Run(name, func(t *testing.T) {
			a := newAgent(t, allowAll, func(a *agent.Agent) {
				install(t, a, "Plugins/bin/Publisher/Publisher", "#!/bin/sh\nexec sleep 1000\n")
				if err := a.Write("Plugins/Publisher.json", file); err != nil {
					t.Fatal(err)
				}
			})
			if p, err := a.Plugin(t.Context(), "Publisher"); err != nil || p.Status != "Healthy" {
				t.Errorf("it is %+v, %v\n%s", p, err, a.Log())
			}
			if out, err := a.Admin(t.Context(), "status"); err != nil {
				t.Errorf("status: %v: %s", err, out)
			}
			if strings.Contains(a.Log(), "not every plugin is healthy") {
				t.Errorf("the start has waited for it:\n%s", a.Log())
			}
		})
	}
}

// install puts a program into the agent root, whole.
func install(t *testing.T, a *agent.Agent, name, text string) {
	t.Helper()
	path := filepath.Join(a.Root, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path+".next", []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".next", path); err != nil {
		t.Fatal(err)
	}
}

// TestTheServiceManagerHears: systemd is told when the service is ready, how it
// is, that it lives and that it reads its files again.
func TestTheServiceManagerHears(t *testing.T) {
	a := laidOut(t, allowAll)
	path := filepath.Join(a.Root, "notify")
	manager, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer manager.Close()
	told := make(chan string, 1024)
	go func() {
		defer close(told)
		for buf := make([]byte, 4096); ; {
			n, err := manager.Read(buf)
			if err != nil {
				return
			}
			told <- string(buf[:n])
		}
	}()
	hears := func(begins string) {
		t.Helper()
		for timeout := time.After(patience); ; {
			select {
			case text := <-told:
				if strings.HasPrefix(text, begins) {
					return
				}
			case <-timeout:
				t.Fatalf("it never heard %s\n%s", begins, a.Log())
			}
		}
	}
	a.Env = []string{"NOTIFY_SOCKET=" + path, "WATCHDOG_USEC=600000"}
	t.Cleanup(func() { _ = a.Kill() })
	if _, err := a.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	hears("READY=1")
	hears("STATUS=Elevations can succeed")
	hears("WATCHDOG=1")
	hears("WATCHDOG=1")
	spoilPolicy(t, a)
	hears("STATUS=Elevations cannot succeed: nothing can be decided: KeeperPolicy does not run")
	if err := syscall.Kill(a.PID(), syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	hears("RELOADING=1\nMONOTONIC_USEC=")
	hears("READY=1")
	if err := a.Stop(); err != nil {
		t.Fatal(err)
	}
	hears("STOPPING=1")
}

// spoilPolicy makes KeeperPolicy end as soon as it is started, and returns what
// puts it right.
func spoilPolicy(t *testing.T, a *agent.Agent) (repair func()) {
	t.Helper()
	const name = "Plugins/bin/KeeperPolicy/KeeperPolicy"
	good, err := os.ReadFile(filepath.Join(a.Root, name))
	if err != nil {
		t.Fatal(err)
	}
	p, err := a.Plugin(t.Context(), "KeeperPolicy")
	if err != nil || p.ProcessID == 0 {
		t.Fatalf("%+v, %v", p, err)
	}
	install(t, a, name, "#!/bin/sh\nexit 3\n")
	if err := syscall.Kill(p.ProcessID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, fmt.Sprintf("process %d is not KeeperPolicy any more", p.ProcessID), func() bool {
		now, err := a.Plugin(t.Context(), "KeeperPolicy")
		return err == nil && now.ProcessID != p.ProcessID
	})
	return func() { install(t, a, name, string(good)) }
}
