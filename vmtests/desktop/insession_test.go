//go:build linux

package desktop

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kpm/vmtests/agent"
)

// TestACommandOnThePersonsDesktop: where the launch job says so, what policy allows runs
// as whoever asked, in their own login session, and in nobody's where they have none.
func TestACommandOnThePersonsDesktop(t *testing.T) {
	desk := newSeat(t, ann)
	a := newAgent(t, demands(`"ALLOW"`), "")
	launchBy(t, a, `{ "RequestId": "{RequestId}", "ExecutionType": "UserDesktop" }`)
	asks(t, a, "id", "-un").ends(1, "you are logged in on none: log in graphically")
	logsIn(t, map[string]*seat{annsSession: desk})
	asks(t, a, "env").ends(0, "DISPLAY="+desk.display+"\n")
	asks(t, a, "env").ends(0, "XDG_SESSION_ID="+annsSession+"\n")
	asks(t, a, "id", "-u").ends(0, "4242\n")
	// What runs there has the person's rights alone.
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("hidden"), 0o600); err != nil {
		t.Fatal(err)
	}
	asks(t, a, "cat", secret).ends(1, "Permission denied")
	log, err := a.Admin(t.Context(), "audit", "list", "--json")
	if err != nil || strings.Count(log, `"type":"in-session"`) != 4 || !strings.Contains(log, `"message":"login session `+annsSession+`"`) {
		t.Errorf("%v %s", err, log)
	}
	// The session that was asked from: these tests ask from none.
	launchBy(t, a, `{ "RequestId": "{RequestId}" }`)
	asks(t, a, "id").ends(1, "you ask from none: log in")
}

// TestAPolicyPutsACommandOnThePersonsDesktop: where a policy says so, with the default
// jobs; its controls are asked for as ever.
func TestAPolicyPutsACommandOnThePersonsDesktop(t *testing.T) {
	desk := newSeat(t, ann)
	a := newAgent(t, strings.Replace(demands(`"JUSTIFY"`), `"UserCheck"`, `"Extension": {"UserSession": "UserDesktop"}, "UserCheck"`, 1), "")
	asks(t, a, "--reason", "a test", "id", "-un").ends(1, "you are logged in on none: log in graphically")
	logsIn(t, map[string]*seat{annsSession: desk})
	asks(t, a, "--reason", "a test", "env").ends(0, "DISPLAY="+desk.display+"\n")
	asks(t, a, "--reason", "a test", "id", "-u").ends(0, "4242\n")
	log, err := a.Admin(t.Context(), "audit", "list", "--json")
	if err != nil || strings.Count(log, `"type":"in-session"`) != 2 {
		t.Errorf("%v %s", err, log)
	}
}

// launchBy has the launch job ask for a launch in a session, with a body.
func launchBy(t *testing.T, a *agent.Agent, body string) {
	t.Helper()
	const file, endpoint, whole = "Jobs/LaunchPrivilegeElevation.json", "/api/launch\"", `"body": { "RequestId": "{RequestId}" }`
	staged, err := agent.Staged()
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(staged, file))
	if err != nil {
		t.Fatal(err)
	}
	before, after, found := strings.Cut(string(data), endpoint)
	if !found || !strings.Contains(after, whole) {
		t.Fatalf("%s has no %s", file, endpoint)
	}
	if err := a.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := a.Write(file, before+"/api/usersession\""+strings.Replace(after, whole, `"body": `+body, 1)); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
}
