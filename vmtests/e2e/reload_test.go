//go:build linux

package e2e

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"kpm/vmtests/agent"
)

// TestAReloadIsInForceWhenItReturns: whoever asks right after a reload is decided on
// by the policies as they lay there, whether KeeperAdminCLI has asked for it or a
// signal, of which the service manager is told the end.
func TestAReloadIsInForceWhenItReturns(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notify")
	manager, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer manager.Close()
	a := newAgent(t, allowAll, func(a *agent.Agent) { a.Env = []string{"NOTIFY_SOCKET=" + path} })
	// told reads what the manager is told, up to that.
	told := func(want string) {
		t.Helper()
		if err := manager.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		for message := make([]byte, 1024); ; {
			n, err := manager.Read(message)
			if err != nil {
				t.Fatalf("the manager is not told %s: %v\n%s", want, err, a.Log())
			}
			if strings.HasPrefix(string(message[:n]), want) {
				return
			}
		}
	}
	told("READY=1")
	ways := map[string]func(){
		"KeeperAdminCLI reload": func() {
			if out, err := a.Admin(t.Context(), "reload"); err != nil {
				t.Fatalf("%v: %s\n%s", err, out, a.Log())
			}
			told("RELOADING=1\nMONOTONIC_USEC=")
			told("READY=1")
		},
		"SIGHUP": func() {
			if err := syscall.Kill(a.PID(), syscall.SIGHUP); err != nil {
				t.Fatal(err)
			}
			told("RELOADING=1\nMONOTONIC_USEC=")
			told("READY=1")
		},
	}
	for name, reload := range ways {
		for _, outcome := range []string{"DENY", "ALLOW", "DENY", "ALLOW"} {
			if err := a.Write("Policies/policy.json", strings.Replace(allowAll, `"ALLOW"`, `"`+outcome+`"`, 1)); err != nil {
				t.Fatal(err)
			}
			reload()
			out, err := a.Sudo(t.Context(), 4242, "id", "-u").CombinedOutput()
			if (err == nil) != (outcome == "ALLOW") {
				t.Errorf("%s, right after %s: %v: %s\n%s", outcome, name, err, out, a.Log())
			}
		}
	}
	if err := a.Write("Policies/policy.json", "{"); err != nil {
		t.Fatal(err)
	}
	if out, err := a.Admin(t.Context(), "reload"); err == nil || !strings.Contains(out, "policy.json") {
		t.Errorf("a policy that cannot be read: %v: %s", err, out)
	}
	stillRuns(t, a, "a policy that cannot be read")
}

// TestWhatIsAppliedIsInForce: whoever asks right after "policy apply" is decided on by
// what was applied.
func TestWhatIsAppliedIsInForce(t *testing.T) {
	a := newAgent(t, policyOf("other", "ALLOW", `, "ApplicationCheck": ["/usr/bin/whoami"]`), nil)
	file := filepath.Join(t.TempDir(), "applied.json")
	for i := range 10 {
		control, status := "ALLOW", 0
		if i%2 == 1 {
			control, status = "DENY", 1
		}
		if err := os.WriteFile(file, []byte(policyOf("applied", control, `, "ApplicationCheck": ["/usr/bin/id"]`)), 0o644); err != nil {
			t.Fatal(err)
		}
		if out, err := a.Admin(t.Context(), "policy", "apply", file); err != nil {
			t.Fatalf("%v: %s\n%s", err, out, a.Log())
		}
		if out, got := sudoed(t, a, "-n", "id", "-u"); got != status {
			t.Fatalf("after %s was applied: exit status %d: %s", control, got, out)
		}
	}
	// One that does not run reads it when it starts.
	if err := a.Stop(); err != nil {
		t.Fatal(err)
	}
	if out, err := a.Admin(t.Context(), "policy", "apply", file); err != nil {
		t.Fatalf("without a service: %v: %s", err, out)
	}
}
