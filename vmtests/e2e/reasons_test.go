//go:build linux

package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"kpm/vmtests/agent"
)

// TestReasons: the settings say how long a reason is, and which are offered; what was
// given is on record.
func TestReasons(t *testing.T) {
	a := newAgent(t, justifyAll, func(a *agent.Agent) {
		if err := a.Write("appsettings.json", `{"Requests": {"ReasonMinimum": 10, "Reasons": ["planned maintenance", "repair"]}}`); err != nil {
			t.Fatal(err)
		}
	})
	for reason, want := range map[string]string{"too short": "", "3": "", "2": "repair", "the disk is full": "the disk is full"} {
		out, status := sudoed(t, a, "--reason", reason, "id", "-u")
		if (status == 0) != (want != "") || want == "" && !strings.Contains(out, "shorter than 10 characters") {
			t.Errorf("%q: %d %s", reason, status, out)
		}
		given := slices.ContainsFunc(records(t, a), func(r map[string]any) bool { return want != "" && fmt.Sprint(r["message"]) == want })
		if given != (want != "") {
			t.Errorf("%q: on record is not %q", reason, want)
		}
	}
}
