//go:build linux

package e2e

import (
	"encoding/json"
	"strings"
	"testing"

	"kpm/vmtests/agent"
	"kpm/vmtests/apart"
)

// TestWhatMayIRun: keepersudo -l tells each user what they may run, and nobody
// else's.
func TestWhatMayIRun(t *testing.T) {
	const mine = `{"PolicyId":"mine","PolicyName":"Web team restarts nginx","PolicyType":"CommandLine","Status":"enforce","Actions":{"OnSuccess":{"Controls":["JUSTIFY"]}},
		"UserCheck":["#4242"],"MachineCheck":["*"],"ApplicationCheck":["/usr/bin/systemctl"],"Extension":{"AllowCommands":["systemctl restart nginx"]}}`
	other := strings.NewReplacer("mine", "theirs", "#4242", "#65534", "nginx", "cups").Replace(mine)
	a := newAgent(t, "["+mine+","+other+"]", nil)
	out, status := sudoed(t, a, "-l")
	if status != 0 || !strings.Contains(out, "as the administrator: systemctl restart nginx\n") || !strings.Contains(out, "asks for: JUSTIFY") ||
		!strings.Contains(out, "by policy: Web team restarts nginx\n") || strings.Contains(out, "cups") {
		t.Errorf("%d: %s", status, out)
	}
	out, status = sudoed(t, a, "-l", "--json")
	var got struct {
		User     string
		Policies []struct {
			PolicyID string `json:"PolicyId"`
			Commands []string
		}
	}
	if err := json.Unmarshal([]byte(out), &got); err != nil || status != 0 || len(got.Policies) != 1 || got.Policies[0].PolicyID != "mine" {
		t.Errorf("%d, %v: %s", status, err, out)
	}
	// Whom to ask: approvers of what is allowed, and administrators where nothing is.
	b := newAgent(t, `[{"PolicyId":"asked","PolicyType":"PrivilegeElevation","Status":"enforce","Actions":{"OnSuccess":{"Controls":["APPROVAL"]}},
		"UserCheck":["#4242"],"MachineCheck":["*"],"ApplicationCheck":["/usr/bin/id"],"approvers":{"users":["root"]}}]`, func(a *agent.Agent) {
		if err := a.Write("appsettings.json", `{"Requests": {"Contacts": ["the help desk, 555-0100"]}}`); err != nil {
			t.Fatal(err)
		}
	})
	if out, status := sudoed(t, b, "-l"); status != 0 || !strings.Contains(out, "approved by: 1 of root, the administrators\n") {
		t.Errorf("%d: %s", status, out)
	}
	asNobody := b.Sudo(t.Context(), 65534, "--root", b.Root, "-l", "--json")
	var nothing struct {
		Policies []any
		Ask      []string
	}
	if out, err := asNobody.Output(); err != nil || json.Unmarshal(out, &nothing) != nil || len(nothing.Policies) != 0 || len(nothing.Ask) != 1 || nothing.Ask[0] != "the help desk, 555-0100" {
		t.Errorf("%v: %s", err, out)
	}
	// An administrator sees what somebody else may; a user does not.
	asRoot := a.Sudo(t.Context(), 0, "--root", a.Root, "-U", apart.Name(4242), "-l")
	if out, err := asRoot.CombinedOutput(); err != nil || !strings.Contains(string(out), apart.Name(4242)+" may run") || !strings.Contains(string(out), "restart nginx") || strings.Contains(string(out), "cups") {
		t.Errorf("-U as root: %v, %s", err, out)
	}
	for _, name := range []string{"nobody", "no-such-user"} {
		if out, status := sudoed(t, a, "-l", "-U", name); status != 1 || !strings.Contains(out, "is told to administrators") || strings.Contains(out, "cups") {
			t.Errorf("-U %s: %d: %s", name, status, out)
		}
	}
}
