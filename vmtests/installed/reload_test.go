//go:build linux

package installed

import (
	"context"
	"os"
	"strings"
	"testing"
)

// TestReload: whoever asks when systemctl reload has returned is decided on by the
// policies as they lay there.
func TestReload(t *testing.T) {
	path := box.Root + root + "/Policies/reload.json"
	reload := func(outcome string) {
		t.Helper()
		text := strings.Replace(`{"PolicyId": "reload", "PolicyName": "For a moment", "PolicyType": "PrivilegeElevation", "Status": "enforce",
 "Actions": {"OnSuccess": {"Controls": ["OUTCOME"]}}, "UserCheck": ["bob"], "MachineCheck": ["*"], "ApplicationCheck": ["/usr/bin/tty"]}`, "OUTCOME", outcome, 1)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := box.Run(t.Context(), "systemctl", "reload", service); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		_ = os.Remove(path)
		_, _ = box.Run(context.Background(), "systemctl", "reload", service)
	})
	for _, outcome := range []string{"ALLOW", "DENY", "ALLOW", "DENY"} {
		reload(outcome)
		// tty says by its status that it is at none, and so that it ran.
		r := says(t, "bob", "keepersudo", "-n", "tty")
		if ran := strings.Contains(r.Stdout, "not a tty"); ran != (outcome == "ALLOW") {
			t.Errorf("%s, right after systemctl reload: %+v", outcome, r)
		}
	}
}
