//go:build linux

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"kpm/core/view"
	"kpm/vmtests/agent"
)

// busFile is a plugin that holds its primary subscription with mosquitto's client.
func busFile(id string) string {
	return fmt.Sprintf(`{"id": %q, "pluginType": "Executable", "executablePath": "bin/Bus/Bus", "arguments": "{PluginId}", "supportedPlatforms": ["Linux"],
		"Subscription": {"Topic": %q}, "metadata": {"mqttTopics": {"publish": [], "subscribe": []}}, %s}`, id, id, kept)
}

const busProgram = "#!/bin/sh\nexec mosquitto_sub --unix \"$KEEPER_MQTT_SOCKET\" -i \"$1_$$\" -t \"$1\" > /dev/null\n"

// childStates counts the processes whose parent is the service, by state letter.
func childStates(t *testing.T, pid int) map[string]int {
	t.Helper()
	states := map[string]int{}
	entries, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range entries {
		data, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		fields := strings.Fields(string(data[strings.LastIndexByte(string(data), ')')+1:]))
		if len(fields) > 1 && fields[1] == strconv.Itoa(pid) {
			states[fields[0]]++
		}
	}
	return states
}

// descriptors counts those that the service has open.
func descriptors(t *testing.T, pid int) int {
	t.Helper()
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// helpersWait waits until helpers are in the place of those that have been used: the
// service holds descriptors of each.
func helpersWait(t *testing.T, a *agent.Agent) {
	t.Helper()
	until(t, "all helpers wait", func() bool { return len(children(t, a, "keeperlaunch")) == helpers })
}

// until is eventually for what takes a slow machine longer.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
	}
}

// TestAHundredPlugins: all of them become healthy, are listed, and end with the
// service, of which nothing is left.
func TestAHundredPlugins(t *testing.T) {
	const many = 100
	a := newAgent(t, allowAll, func(a *agent.Agent) {
		for i := range many {
			if err := a.Write(fmt.Sprintf("Plugins/Bus%03d.json", i), busFile(fmt.Sprintf("Bus%03d", i))); err != nil {
				t.Fatal(err)
			}
		}
		lay(t, a, "Bus", scriptFile("Bus", `"enabled": false`), busProgram)
	})
	healthy := func() int {
		list, err := a.Plugins(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, p := range list {
			if p.Status == "Healthy" {
				n++
			}
		}
		return n
	}
	until(t, "all are healthy", func() bool { return healthy() == many+2 })
	helpersWait(t, a)
	before := descriptors(t, a.PID())
	for i := range 10 { // a tenth of them is killed, and comes back
		if err := syscall.Kill(stateOf(t, a, fmt.Sprintf("Bus%03d", i)).ProcessID, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
	}
	until(t, "all are healthy again", func() bool {
		for i := range 10 {
			if h := stateOf(t, a, fmt.Sprintf("Bus%03d", i)); h.Status != view.Healthy || h.Restarts != 1 {
				return false
			}
		}
		return healthy() == many+2
	})
	until(t, "no descriptor is left", func() bool { return descriptors(t, a.PID()) <= before })
	until(t, "no zombie is left", func() bool { return childStates(t, a.PID())["Z"] == 0 })
	if err := a.Stop(); err != nil {
		t.Fatal(err)
	}
	until(t, "nothing of it is left", func() bool { return len(running(t, a.Root)) == 0 })
}

// TestPluginsThatMisbehave: one that does not hear SIGTERM, one that leaves
// processes behind, one that is stopped and one that ends at once over and over:
// none keeps another, or the service, from anything.
func TestPluginsThatMisbehave(t *testing.T) {
	a := newAgent(t, allowAll, func(a *agent.Agent) {
		lay(t, a, "Deaf", scriptFile("Deaf", kept), "#!/bin/sh\ntrap '' TERM\nwhile :; do sleep 0.1; done\n")
		lay(t, a, "Forks", scriptFile("Forks", `"requiresMonitoring": true`), "#!/bin/sh\nfor i in 1 2 3; do setsid sleep 4321 & done\nsleep 4321 &\nexit 0\n")
		lay(t, a, "Crashes", scriptFile("Crashes", kept), "#!/bin/sh\necho started >> \"$KEEPER_AGENT_ROOT/State/crashes\"\nexit 7\n")
		lay(t, a, "Bus", strings.Replace(busFile("Bus"), `"autoRestart"`, `"livenessPing": true, "autoRestart"`, 1), strings.Replace(busProgram, "exec mosquitto_sub", "mosquitto_sub", 1))
	})
	// It is killed two seconds after it was asked.
	deaf := stateOf(t, a, "Deaf").ProcessID
	mustCLI(t, a, "plugins", "stop", "Deaf")
	until(t, "a plugin that does not hear SIGTERM is gone", func() bool { return syscall.Kill(deaf, 0) != nil })
	// What it leaves goes with it.
	try := func(args ...string) { _, _ = cli(a, args...) }
	try("plugins", "start", "Forks")
	until(t, "nothing is left of it", func() bool { return len(running(t, "sleep 4321")) == 0 })
	// Given up, and started again by hand, fifty crashes and more.
	until(t, "it is given up", func() bool { return stateOf(t, a, "Crashes").Status == view.Failed })
	helpersWait(t, a)
	before := descriptors(t, a.PID())
	for range 9 {
		until(t, "it is given up", func() bool { return stateOf(t, a, "Crashes").Status == view.Failed })
		try("plugins", "start", "Crashes")
	}
	until(t, "it is given up", func() bool { return stateOf(t, a, "Crashes").Status == view.Failed })
	started, err := os.ReadFile(filepath.Join(a.Root, "State/crashes"))
	if n := strings.Count(string(started), "\n"); err != nil || n < 50 {
		t.Errorf("it was started %d times, %v", n, err)
	}
	until(t, "no descriptor is left", func() bool { return descriptors(t, a.PID()) <= before })
	until(t, "no zombie is left", func() bool { return childStates(t, a.PID())["Z"] == 0 })
	// A stopped process hears nothing, and is killed all the same.
	mustCLI(t, a, "plugins", "restart", "Bus")
	stopped := stateOf(t, a, "Bus").ProcessID
	if err := syscall.Kill(stopped, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	mustCLI(t, a, "plugins", "restart", "Bus")
	if now := stateOf(t, a, "Bus").ProcessID; now == stopped {
		t.Errorf("%d is still Bus", stopped)
	}
	until(t, "the stopped process is gone", func() bool { return syscall.Kill(stopped, 0) != nil })
	for _, id := range []string{"KeeperLogger", "KeeperPolicy"} {
		if h := stateOf(t, a, id); h.Status != view.Healthy || h.Restarts != 0 {
			t.Errorf("%+v", h)
		}
	}
	if out, err := a.Sudo(t.Context(), 4242, "id", "-u").CombinedOutput(); err != nil || string(out) != "0\n" {
		t.Errorf("%v %s", err, out)
	}
}
