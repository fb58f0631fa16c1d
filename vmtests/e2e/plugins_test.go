//go:build linux

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"kpm/core/view"
	"kpm/vmtests/agent"
)

// scriptFile is the file of a plugin that speaks to nobody.
func scriptFile(id string, extra ...string) string {
	return fmt.Sprintf(`{"id": %q, "pluginType": "Executable", "executablePath": "bin/%s/%s", "supportedPlatforms": ["Linux"],
		"metadata": {"mqttTopics": {"publish": [], "subscribe": []}}%s}`, id, id, id, strings.Join(append([]string{""}, extra...), ", "))
}

const kept = `"autoStart": true, "requiresMonitoring": true, "autoRestart": true`

func stateOf(t *testing.T, a *agent.Agent, id string) view.PluginHealth {
	t.Helper()
	out, _ := cli(a, "plugins", "health", id, "--json")
	var h view.PluginHealth
	if err := json.Unmarshal([]byte(out), &h); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return h
}

// TestLifecycle: a plugin is started, stopped and restarted while the service
// runs, and one that was given up starts again once it can.
func TestLifecycle(t *testing.T) {
	a := newAgent(t, allowAll, func(a *agent.Agent) {
		lay(t, a, "OnDemand", scriptFile("OnDemand"), "#!/bin/sh\nexec sleep 1000\n")
		lay(t, a, "Crashes", scriptFile("Crashes", kept), "#!/bin/sh\necho no database >&2\n[ -e \"$KEEPER_AGENT_ROOT/State/fixed\" ] || exit 3\nexec sleep 1000\n")
	})
	if h := stateOf(t, a, "OnDemand"); h.Status != view.Stopped || h.ProcessID != 0 {
		t.Errorf("%+v", h)
	}
	if out := mustCLI(t, a, "plugins", "start", "ondemand"); out != "OnDemand is Healthy\n" {
		t.Errorf("%q", out)
	}
	first := stateOf(t, a, "OnDemand")
	mustCLI(t, a, "plugins", "restart", "OnDemand")
	second := stateOf(t, a, "OnDemand")
	if first.ProcessID == second.ProcessID || second.UptimeSeconds <= 0 || second.Status != view.Healthy {
		t.Errorf("%+v, then %+v", first, second)
	}
	mustCLI(t, a, "plugins", "stop", "OnDemand")
	eventually(t, "a stopped plugin is gone", func() bool { return syscall.Kill(second.ProcessID, 0) != nil })
	eventually(t, "it is given up", func() bool { return stateOf(t, a, "Crashes").Status == view.Failed })
	eventually(t, "what is known of its end", func() bool {
		h := stateOf(t, a, "Crashes")
		return h.Restarts == 5 && h.LastExit == "it exited with status 3" && len(h.LastStderr) == 1 && h.LastStderr[0] == "no database"
	})
	if out, err := cli(a, "doctor"); err == nil || !strings.Contains(out, "Plugin restarts unexpectedly in a loop: Crashes") {
		t.Errorf("%v\n%s", err, out)
	}
	if err := a.Write("State/fixed", ""); err != nil {
		t.Fatal(err)
	}
	if out := mustCLI(t, a, "plugins", "start", "Crashes"); out != "Crashes is Healthy\n" {
		t.Errorf("%q", out)
	}
}

// TestReloadTouchesNothingElse: files that come, change and go are noticed, and
// the other plugins' processes stay the same.
func TestReloadTouchesNothingElse(t *testing.T) {
	script := "#!/bin/sh\nexec sleep 1000\n"
	a := newAgent(t, allowAll, func(a *agent.Agent) { lay(t, a, "Stays", scriptFile("Stays", kept), script) })
	before := stateOf(t, a, "Stays").ProcessID
	lay(t, a, "Comes", scriptFile("Comes", kept), script)
	eventually(t, "it runs", func() bool {
		out, _ := cli(a, "plugins", "health", "Comes")
		return strings.Contains(out, "Healthy")
	})
	came := stateOf(t, a, "Comes").ProcessID
	if err := a.Write("Plugins/Comes.json", scriptFile("Comes", kept, `"colour": "green"`)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the setting is in force", func() bool {
		out, err := cli(a, "settings", "get", "Comes", "colour")
		return err == nil && out == "green\n"
	})
	if got := stateOf(t, a, "Comes").ProcessID; got != came {
		t.Errorf("a setting restarted it: %d, %d", came, got)
	}
	if err := os.Remove(filepath.Join(a.Root, "Plugins/Comes.json")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is gone", func() bool { return syscall.Kill(came, 0) != nil })
	if got := stateOf(t, a, "Stays").ProcessID; got != before {
		t.Errorf("another plugin was restarted: %d, %d", before, got)
	}
	eventually(t, "it came and went: all is as accepted", func() bool {
		out, err := cli(a, "plugins", "approve", "--list")
		return err == nil && !strings.Contains(out, "Comes")
	})
}

// TestStoredSettingsSurvive: kill -9 right after the answer.
func TestStoredSettingsSurvive(t *testing.T) {
	a := newAgent(t, allowAll, nil)
	for i := range 5 {
		value := fmt.Sprint("value ", i)
		mustCLI(t, a, "settings", "put", "KeeperLogger", "log.note", value)
		if err := a.Kill(); err != nil {
			t.Fatal(err)
		}
		if _, err := a.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		if out := mustCLI(t, a, "settings", "get", "KeeperLogger", "log.note"); out != value+"\n" {
			t.Errorf("%q", out)
		}
	}
	mustCLI(t, a, "settings", "put", "KeeperPrivilegeManager", "system.logging.level", "Debug")
	mustCLI(t, a, "plugins", "restart", "KeeperLogger") // of which there is something to say
	eventually(t, "the service logs more", func() bool { return strings.Contains(a.Log(), "level=DEBUG") })
	for _, suffix := range []string{"", "-wal"} {
		info, err := os.Stat(filepath.Join(a.Root, "State/settings.db"+suffix))
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%v, %v", info, err)
		}
	}
}

// TestLastKnownGood: an unapproved file is reported and journalled, and undone
// where that is enabled; what is installed with our tool is approved.
func TestLastKnownGood(t *testing.T) {
	script := "#!/bin/sh\nexec sleep 1000\n"
	a := newAgent(t, allowAll, func(a *agent.Agent) { lay(t, a, "A", scriptFile("A", kept), script) })
	journalled := func(what string) bool {
		out, err := a.Admin(context.Background(), "audit", "tail", "--json", "-n", "50")
		return err == nil && strings.Contains(out, `"unapproved"`) && strings.Contains(out, what)
	}
	if err := a.Write("Plugins/Stray.json", scriptFile("Stray")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is reported", func() bool {
		out, err := cli(a, "plugins", "approve", "--list")
		return err == nil && strings.Contains(out, "Plugins/Stray.json") && journalled("Stray.json")
	})
	mustCLI(t, a, "plugins", "approve", "Stray")
	mustCLI(t, a, "settings", "app", "LastKnownGood:Mode=restore")
	if err := a.Stop(); err != nil {
		t.Fatal(err)
	}
	good := scriptFile("A", kept)
	if err := a.Write("Plugins/A.json", scriptFile("A", `"enabled": false`)); err != nil { // while nobody looks
		t.Fatal(err)
	}
	if _, err := a.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the approved file is back", func() bool {
		data, err := os.ReadFile(filepath.Join(a.Root, "Plugins/A.json"))
		return err == nil && string(data) == good
	})
	eventually(t, "the approved plugin runs", func() bool { return stateOf(t, a, "A").Status == view.Healthy })
	// A job that an administrator has made through the API is approved by that.
	answer, err := a.Client().Post("http://localhost/api/Jobs", "application/json", strings.NewReader(`{"id": "made", "tasks": [{"id": "t", "command": "echo"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if out := mustCLI(t, a, "plugins", "approve", "--list"); answer.StatusCode != http.StatusCreated || strings.Contains(out, "Jobs/made.json") {
		t.Errorf("made with %s; left to approve:\n%s", answer.Status, out)
	}
	// Another program does not run, until somebody approves it.
	if err := os.WriteFile(filepath.Join(a.Root, "Plugins/bin/A/new"), []byte(script+"# another\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(a.Root, "Plugins/bin/A/new"), filepath.Join(a.Root, "Plugins/bin/A/A")); err != nil {
		t.Fatal(err)
	}
	if out, err := cli(a, "plugins", "restart", "A"); err == nil || !strings.Contains(out, "is not the program that was approved") {
		t.Errorf("%v\n%s", err, out)
	}
	mustCLI(t, a, "plugins", "approve", "A")
	mustCLI(t, a, "plugins", "restart", "A")
	// What is installed while no service runs is approved when it starts.
	if err := a.Stop(); err != nil {
		t.Fatal(err)
	}
	folder := filepath.Join(t.TempDir(), "B")
	if err := os.Mkdir(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.WriteFile(filepath.Join(folder, "B.json"), []byte(scriptFile("B", kept)), 0o644), os.WriteFile(filepath.Join(folder, "B"), []byte(script), 0o755)); err != nil {
		t.Fatal(err)
	}
	if out := mustCLI(t, a, "plugins", "install", folder); !strings.Contains(out, "the service does not run") {
		t.Errorf("%q", out)
	}
	if _, err := a.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it runs", func() bool { return stateOf(t, a, "B").Status == view.Healthy })
	eventually(t, "nothing is left to approve", func() bool { return strings.Count(mustCLI(t, a, "plugins", "approve", "--list"), "\n") == 1 })
}

// TestSecretSettings: a secret is sealed on the disk, comes back after kill -9, and
// is its plugin's and administrators' to see.
func TestSecretSettings(t *testing.T) {
	a := newAgent(t, allowAll, func(a *agent.Agent) {
		lay(t, a, "Vault", scriptFile("Vault", `"secretSettings": ["token"]`), "#!/bin/sh\nexec sleep 1000\n")
	})
	cmd := exec.Command(filepath.Join(a.Root, "KeeperAdminCLI"), "--root", a.Root, "settings", "put", "Vault", "token", "--stdin")
	cmd.Stdin = strings.NewReader("hunter2hunter2\n")
	if out, err := cmd.CombinedOutput(); err != nil || strings.Contains(string(out), "hunter2") {
		t.Fatalf("%v %s", err, out)
	}
	if err := a.Kill(); err != nil {
		t.Fatal(err)
	}
	for _, suffix := range []string{"", "-wal"} { // the change is in the log, as the service was killed
		data, err := os.ReadFile(filepath.Join(a.Root, "State/settings.db"+suffix))
		if err != nil || bytes.Contains(data, []byte("hunter2")) || suffix != "" && !bytes.Contains(data, []byte("Vault")) {
			t.Errorf("the secret is readable on the disk: %v", err)
		}
	}
	if _, err := a.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if out := mustCLI(t, a, "settings", "get", "Vault", "token"); out != "hunter2hunter2\n" {
		t.Errorf("%q", out)
	}
	if out := mustCLI(t, a, "settings", "get", "Vault", "--explain"); !strings.Contains(out, "token") || strings.Contains(out, "hunter2") {
		t.Errorf("%s", out)
	}
}

// TestStartOnMessage: a message for a plugin that does not run starts it, and is
// there when it comes.
func TestStartOnMessage(t *testing.T) {
	waits := `{"id": "Bridge", "pluginType": "Executable", "executablePath": "bin/Bridge/Bridge", "arguments": "'{approot}/State/got'",
		"supportedPlatforms": ["Linux"], "Subscription": {"Topic": "Bridge", "Qos": 2}, "startOnMessage": true,
		"metadata": {"mqttTopics": {"publish": [], "subscribe": []}}}`
	program := strings.NewReplacer(`"Prober", sys.argv`, `"Bridge", sys.argv`, `c.subscribe([("Prober", 2), ("PluginSettings/Prober", 1), ("+/Responses/+", 2)])`, `c.subscribe("Bridge", 2)`).Replace(prober)
	a := newAgent(t, allowAll, func(a *agent.Agent) {
		lay(t, a, "Bridge", waits, program)
		lay(t, a, "Prober", proberFile, prober)
	})
	if h := stateOf(t, a, "Bridge"); h.Status != view.Stopped {
		t.Errorf("%+v", h)
	}
	eventually(t, "the prober is there", func() bool { return stateOf(t, a, "Prober").Status == view.Healthy })
	mustCLI(t, a, "settings", "put", "Prober", "say", "Bridge wake up")
	eventually(t, "the message has arrived", func() bool {
		data, _ := os.ReadFile(filepath.Join(a.Root, "State/got"))
		return string(data) == "Bridge wake up\n"
	})
	eventually(t, "it is healthy", func() bool { return stateOf(t, a, "Bridge").Status == view.Healthy })
}

// TestAJobStartsAPlugin: with the request among its allowedRequests, and not
// without.
func TestAJobStartsAPlugin(t *testing.T) {
	job := func(id, allowed string) string {
		return fmt.Sprintf(`{"id": %q, "name": "Starts it", "enabled": true, "allowedRequests": [%s],
			"tasks": [{"id": "start", "ExecutionType": "Http", "method": "POST", "url": "{KeeperApiBaseUrl}/api/plugins/OnDemand/start"}]}`, id, allowed)
	}
	a := newAgent(t, allowAll, func(a *agent.Agent) {
		lay(t, a, "OnDemand", scriptFile("OnDemand"), "#!/bin/sh\nexec sleep 1000\n")
		err := errors.Join(a.Write("Jobs/may.json", job("may", `"POST /api/plugins/OnDemand/start"`)), a.Write("Jobs/may-not.json", job("may-not", "")))
		if err != nil {
			t.Fatal(err)
		}
	})
	mustCLI(t, a, "jobs", "run", "may-not")
	eventually(t, "it is refused", func() bool {
		return strings.Contains(a.Log(), "may-not") && strings.Contains(a.Log(), "allowedRequests")
	})
	if h := stateOf(t, a, "OnDemand"); h.Status != view.Stopped {
		t.Errorf("%+v", h)
	}
	mustCLI(t, a, "jobs", "run", "may")
	eventually(t, "it runs", func() bool { return stateOf(t, a, "OnDemand").Status == view.Healthy })
}

// TestPluginsInSessions: where sessions are not known, such a plugin says so.
func TestPluginsInSessions(t *testing.T) {
	a := newAgent(t, allowAll, func(a *agent.Agent) {
		lay(t, a, "Tray", scriptFile("Tray", kept, `"executionContext": "Interactive"`), "#!/bin/sh\nexec sleep 1000\n")
	})
	h := stateOf(t, a, "Tray")
	if h.Status != view.Stopped || !strings.Contains(h.Detail, "sessions of users are not known on this Linux: sessions: neither systemd-logind nor /run/utmp is there; install") {
		t.Errorf("%+v", h)
	}
	if out, err := cli(a, "plugins", "start", "Tray"); err == nil || !strings.Contains(out, "its executionContext is Interactive") {
		t.Errorf("%v %s", err, out)
	}
}
