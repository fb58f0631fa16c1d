//go:build linux

package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"kpm/vmtests/agent"
)

// once asserts that text holds each part exactly once.
func once(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if n := strings.Count(text, part); n != 1 {
			t.Errorf("%q stands there %d times: %s", part, n, text)
		}
	}
}

// TestAMessageSaysItOnce: what is expected of a file stands once in the error
// about it, and errors that belong together are one readable line.
func TestAMessageSaysItOnce(t *testing.T) {
	t.Run("a writable appsettings.json", func(t *testing.T) {
		a := newAgent(t, allowAll, nil)
		if err := a.Stop(); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(filepath.Join(a.Root, "appsettings.json"), 0o666); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command(filepath.Join(a.Root, "KeeperPrivilegeManager"), "run", "--root", a.Root).CombinedOutput()
		if err == nil {
			t.Fatal("it ran")
		}
		once(t, string(out), "administrator", "chmod")
	})
	t.Run("several plugins that are not healthy", func(t *testing.T) {
		const mute = `{"id": "NAME", "pluginType": "Executable", "executablePath": "bin/NAME/NAME", "supportedPlatforms": ["Linux"],
 "Subscription": {"Topic": "NAME"}, "metadata": {"mqttTopics": {"publish": [], "subscribe": []}}, "autoStart": true}`
		a := newAgent(t, allowAll, func(a *agent.Agent) {
			for _, name := range []string{"Mute", "Silent"} {
				install(t, a, "Plugins/bin/"+name+"/"+name, "#!/bin/sh\nexec sleep 1000\n")
				if err := a.Write("Plugins/"+name+".json", strings.ReplaceAll(mute, "NAME", name)); err != nil {
					t.Fatal(err)
				}
			}
			if err := a.Write("Jobs/broken.json", `{"id": "other", "tasks": []}`); err != nil {
				t.Fatal(err)
			}
		})
		once(t, a.Log(), "Mute is Unhealthy", "Silent is Unhealthy", "broken.json:1: id is")
		if strings.Contains(a.Log(), "\ufffd") {
			t.Errorf("line breaks became U+FFFD:\n%s", a.Log())
		}
	})
}

// TestTheJournalHasMore: it is named where it says more than the caller was told,
// and only there.
func TestTheJournalHasMore(t *testing.T) {
	job := func(task string) string {
		return strings.Replace(slowLaunch, `{"id":"wait","ExecutionType":"Service","command":"wait","arguments":"100","timeoutSeconds":100}`, task, 1)
	}
	for name, tc := range map[string]struct {
		task string
		more string // of the journal
	}{
		"a task that fails":       {`{"id":"fail","command":"false"}`, "task fail: "},
		"a job that does nothing": {`{"id":"say","command":"echo","parameters":{"a":1}}`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			a := newAgent(t, allowAll, func(a *agent.Agent) {
				if err := a.Write("Jobs/LaunchPrivilegeElevation.json", job(tc.task)); err != nil {
					t.Fatal(err)
				}
			})
			out, err := a.Sudo(t.Context(), 4242, "id").CombinedOutput()
			if err == nil || !strings.Contains(string(out), "ended without doing its part") {
				t.Fatalf("%v: %s", err, out)
			}
			if named := strings.Contains(string(out), "The journal has more"); named != (tc.more != "") {
				t.Errorf("the caller was told: %s", out)
			}
			records, err := a.Admin(t.Context(), "audit", "tail", "-n", "1000", "--json")
			if err != nil || !strings.Contains(records, "ended without doing its part"+strings.TrimSuffix(": "+tc.more, ": ")) {
				t.Errorf("the journal has %s, %v", records, err)
			}
		})
	}
}

// TestAnUndeclaredTopic: a job that says something where it may not hears where
// it might, in words that mean something.
func TestAnUndeclaredTopic(t *testing.T) {
	a := newAgent(t, allowAll, func(a *agent.Agent) {
		if err := a.Write("Jobs/lost.json", `{"id":"lost","name":"Lost","enabled":true,
 "tasks":[{"id":"say","command":"publish-mqtt","parameters":{"Topic":"JobService","MessageType":"CustomEvent","Payload":{"EventName":"Mine"}}}]}`); err != nil {
			t.Fatal(err)
		}
	})
	if out, err := a.Admin(t.Context(), "jobs", "run", "--id", "lost"); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	eventually(t, "the log says why", func() bool { return strings.Contains(a.Log(), "lost may not publish") })
	if !strings.Contains(a.Log(), "a topic for this is EventMessages; nor does it declare that topic") || strings.Contains(a.Log(), "with another name") {
		t.Errorf("the log:\n%s", a.Log())
	}
}

// TestJobsByName: the id may stand by itself.
func TestJobsByName(t *testing.T) {
	a := newAgent(t, allowAll, func(a *agent.Agent) {
		if err := a.Write("Jobs/say.json", `{"id":"say","name":"Say","enabled":true,"tasks":[{"id":"say","command":"echo","parameters":{"a":1}}]}`); err != nil {
			t.Fatal(err)
		}
	})
	for _, args := range [][]string{{"jobs", "run", "say"}, {"jobs", "trigger", "say"}, {"jobs", "run", "--id", "say"}} {
		if out, err := a.Admin(t.Context(), args...); err != nil || !strings.Contains(out, `"runId"`) {
			t.Errorf("%v: %v: %s", args, err, out)
		}
	}
}

// TestNoAccessIsNotNotRunning: who may not ask whether the service runs is not
// told that it does not.
func TestNoAccessIsNotNotRunning(t *testing.T) {
	a := newAgent(t, allowAll, nil)
	if err := os.Chmod(filepath.Join(a.Root, "run"), 0o700); err != nil {
		t.Fatal(err)
	}
	status := exec.Command(filepath.Join(a.Root, "KeeperAdminCLI"), "status", "--root", a.Root)
	status.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 4242, Gid: 4242}}
	for name, cmd := range map[string]*exec.Cmd{"KeeperAdminCLI": status, "keepersudo": a.Sudo(t.Context(), 4242, "id")} {
		out, err := cmd.CombinedOutput()
		if err == nil || strings.Contains(string(out), "not running") || !strings.Contains(string(out), "permission denied") {
			t.Errorf("%s: %v: %s", name, err, out)
		}
	}
}

// TestTheServicesOwnWarnings reach KeeperLogger, those before it ran included.
func TestTheServicesOwnWarnings(t *testing.T) {
	a := newAgent(t, allowAll, func(a *agent.Agent) {
		_ = a.Write("appsettings.json", `{"Settings":{"KestrelHttpPort":0,"KestrelHttpsPort":0,"Colour":"blue"},"MqttBrokerSettings":{"Port":0}}`)
		_ = a.Write("Jobs/broken.json", `{"id": "other", "tasks": []}`)
	})
	path := filepath.Join(a.Root, "Plugins/bin/KeeperLogger/Log/KeeperLogger.log")
	for _, line := range []string{
		"[WRN] KeeperPrivilegeManager: unknown setting is ignored", "key=Settings:Colour",
		"[ERR] KeeperPrivilegeManager: job file is broken; the job does not run",
	} {
		eventually(t, "KeeperLogger has "+line, func() bool {
			data, err := os.ReadFile(path)
			return err == nil && strings.Contains(string(data), line)
		})
	}

	// It may be gone meanwhile: nothing waits for it, and nothing is lost.
	logger, err := a.Plugin(t.Context(), "KeeperLogger")
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(logger.ProcessID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "KeeperLogger has what the service said of its end", func() bool {
		data, err := os.ReadFile(path)
		return err == nil && strings.Contains(string(data), "KeeperPrivilegeManager: plugin ended or could not be started") &&
			strings.Contains(string(data), "plugin=KeeperLogger")
	})
	size := func() int64 {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		return info.Size()
	}
	settled := size()
	eventually(t, "the log comes to rest", func() bool {
		before := settled
		time.Sleep(500 * time.Millisecond) // a loop would say something in each of them
		settled = size()
		return settled == before
	})
}
