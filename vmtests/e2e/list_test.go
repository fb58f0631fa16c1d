//go:build linux

package e2e

import (
	"encoding/json"
	"strings"
	"testing"
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
}
