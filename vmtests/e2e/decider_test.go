//go:build linux

package e2e

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"kpm/vmtests/agent"
)

// patient settings give a decision a minute: who is refused sooner was refused at
// once.
const patient = `{"Settings":{"KestrelHttpPort":0,"KestrelHttpsPort":0},"MqttBrokerSettings":{"Port":0},"Requests":{"EvaluateSeconds":60},"PluginMonitoring":{"MaxBackoffSeconds":2}}`

// TestTheFirstElevation: the first caller after each start is served, however
// early they come.
func TestTheFirstElevation(t *testing.T) {
	a := laidOut(t, allowAll)
	t.Cleanup(func() { _ = a.Kill() })
	door := filepath.Join(a.Root, "run/door.sock")
	for i := range 8 {
		_ = os.Remove(door)
		if err := a.Launch(); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the door is there", func() bool {
			info, err := os.Lstat(door)
			return err == nil && info.Mode()&os.ModeSocket != 0
		})
		if out, err := a.Sudo(t.Context(), 4242, "id", "-u").CombinedOutput(); err != nil || string(out) != "0\n" {
			t.Errorf("start %d: %v: %s", i, err, out)
		}
		if _, err := a.Ready(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := a.Kill(); err != nil {
			t.Fatal(err)
		}
	}
}

// hangs is the file of a plugin that starts before KeeperPolicy, and never has the
// subscription that it declares.
const hangs = `{"id": "NAME", "name": "NAME", "description": "It hangs", "version": "1.0.0", "pluginType": "Executable",
 "executablePath": "bin/Hangs/Hangs", "executionContext": "Service", "supportedPlatforms": ["Linux"], "startupPriority": PRIORITY,
 "Subscription": {"Topic": "NAME"}, "metadata": {"mqttTopics": {"publish": [], "subscribe": []}}, "autoStart": true, "requiresMonitoring": true}`

// TestPluginsThatHangKeepNobodyWaiting: those that start before KeeperPolicy and
// are never ready cost the first caller after a start no answer.
func TestPluginsThatHangKeepNobodyWaiting(t *testing.T) {
	a := laidOut(t, allowAll)
	t.Cleanup(func() { _ = a.Kill() })
	install(t, a, "Plugins/bin/Hangs/Hangs", "#!/bin/sh\nexec sleep 1000\n")
	for priority, name := range map[string]string{"1": "HangsFirst", "2": "HangsNext", "3": "HangsToo"} {
		if err := a.Write("Plugins/"+name+".json", strings.NewReplacer("NAME", name, "PRIORITY", priority).Replace(hangs)); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.Launch(); err != nil {
		t.Fatal(err)
	}
	door := filepath.Join(a.Root, "run/door.sock")
	eventually(t, "the door is there", func() bool { _, err := os.Lstat(door); return err == nil })
	begun := time.Now()
	if out, err := a.Sudo(t.Context(), 4242, "id", "-u").CombinedOutput(); err != nil || string(out) != "0\n" {
		t.Errorf("after %v: %v: %s", time.Since(begun), err, out)
	}
}

// TestKeeperPolicyIsKilledWhileManyAsk: nobody is refused for that, and nothing
// runs twice.
func TestKeeperPolicyIsKilledWhileManyAsk(t *testing.T) {
	a := newAgent(t, allowAll, nil)
	var asked, refused atomic.Int64
	var callers sync.WaitGroup
	defer callers.Wait() // nobody reports to a test that is over
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for i := range uint32(6) {
		callers.Go(func() {
			for ctx.Err() == nil {
				asked.Add(1)
				if out, err := a.Sudo(t.Context(), 4242+i, "id", "-u").CombinedOutput(); err != nil || string(out) != "0\n" {
					refused.Add(1)
					t.Errorf("%v: %s", err, out)
				}
			}
		})
	}
	killed := 0
	for range 10 {
		var p agent.Plugin
		eventually(t, "KeeperPolicy is healthy", func() bool {
			var err error
			p, err = a.Plugin(t.Context(), "KeeperPolicy")
			return err == nil && p.Status == "Healthy" && p.ProcessID != 0 && p.ProcessID != killed
		})
		killed = p.ProcessID
		before := asked.Load()
		eventually(t, "people ask", func() bool { return asked.Load() > before+6 })
		if err := syscall.Kill(p.ProcessID, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		eventually(t, "that process is gone", func() bool { return syscall.Kill(p.ProcessID, 0) != nil })
	}
	cancel()
	callers.Wait()
	t.Logf("%d of %d refused", refused.Load(), asked.Load())
	allFinal(t, a)
}

// TestKeeperPolicyIsNeverGivenUp: while it cannot run, callers are refused at
// once and told why; when somebody has put it right, nobody has to start
// anything.
func TestKeeperPolicyIsNeverGivenUp(t *testing.T) {
	a := newAgent(t, allowAll, func(a *agent.Agent) { _ = a.Write("appsettings.json", patient) })
	repair := spoilPolicy(t, a)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Second)
	defer cancel()
	out, err := a.Sudo(ctx, 4242, "id", "-u").CombinedOutput()
	if err == nil || ctx.Err() != nil || !strings.Contains(string(out), "nothing can be decided now: KeeperPolicy does not run: it exited with status 3") {
		t.Errorf("the caller was told %v: %s\n%s", err, out, a.Log())
	}
	if healthy(t, a) {
		t.Error("/health says that all is well")
	}
	repair()
	defer func() {
		if t.Failed() {
			t.Log(a.Log())
		}
	}()
	eventually(t, "elevations succeed again", func() bool {
		out, err := a.Sudo(t.Context(), 4242, "id", "-u").CombinedOutput()
		return err == nil && string(out) == "0\n"
	})
	eventually(t, "/health says so", func() bool { return healthy(t, a) })
	if out, err := a.Admin(t.Context(), "status"); err != nil {
		t.Errorf("status: %v: %s", err, out)
	}
}

// TestAStoppedKeeperPolicy: one that does not answer is replaced, whether
// somebody waits for it or not, and who waits is served.
func TestAStoppedKeeperPolicy(t *testing.T) {
	for name, asks := range map[string]bool{"while somebody asks": true, "while nobody asks": false} {
		t.Run(name, func(t *testing.T) {
			a := newAgent(t, allowAll, nil)
			before, err := a.Plugin(t.Context(), "KeeperPolicy")
			if err != nil {
				t.Fatal(err)
			}
			freeze(t, before.ProcessID)
			t.Cleanup(func() { _ = syscall.Kill(before.ProcessID, syscall.SIGKILL) })
			if asks {
				var out bytes.Buffer
				caller := a.Sudo(t.Context(), 4242, "id", "-u")
				caller.Stdout, caller.Stderr = &out, &out
				if err := caller.Run(); err != nil || out.String() != "0\n" {
					t.Errorf("%v: %s\n%s", err, out.String(), a.Log())
				}
			}
			eventually(t, "another one has its place", func() bool {
				p, err := a.Plugin(t.Context(), "KeeperPolicy")
				return err == nil && p.Status == "Healthy" && p.ProcessID != before.ProcessID && p.ProcessID != 0
			})
		})
	}
}
