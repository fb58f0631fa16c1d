//go:build linux

package installed

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"
)

// timed lets bob be an administrator for a time.
const timed = `{"PolicyId": "timed", "PolicyName": "Administrator for a time", "PolicyType": "PrivilegeElevation", "Status": "enforce",
 "Actions": {"OnSuccess": {"Controls": ["JUSTIFY"]}}, "UserCheck": ["bob"], "MachineCheck": ["*"], "ApplicationCheck": ["/usr/bin/tty"],
 "Extension": {"Grant": {"For": "30m", "Covers": "administrator"}}}`

// TestTimeIsOverWithoutTheService: systemd ends what was given for a time, when the
// service does not run by then, and the timer goes with it.
func TestTimeIsOverWithoutTheService(t *testing.T) {
	path := box.Root + root + "/Policies/timed.json"
	if err := os.WriteFile(path, []byte(timed), 0o644); err != nil {
		t.Fatal(err)
	}
	systemctl(t, "reload")
	t.Cleanup(func() {
		_ = os.Remove(path)
		_, _ = box.Run(context.Background(), "systemctl", "restart", service)
	})
	administrators := func() string {
		line := strings.TrimSpace(run(t, "getent", "group", "sudo"))
		return line[strings.LastIndexByte(line, ':')+1:]
	}
	timers := func() string { return run(t, "systemctl", "list-units", "--all", "--plain", "--no-legend", "kpm-*") }
	if list := administrators(); list != "" {
		t.Fatalf("administrators before are %q", list)
	}
	eventually(t, "the policy is in force, and bob has a grant", func() bool {
		r := says(t, "bob", "script", "--quiet", "--return", "--command", "keepersudo --reason 'a test' --for 40s tty", "/dev/null")
		return r.Status == 0
	})
	eventually(t, "bob is an administrator", func() bool { return administrators() == "bob" })
	var units string
	eventually(t, "there is a timer", func() bool { units = timers(); return strings.Contains(units, ".timer") })
	unit := strings.Fields(run(t, "systemctl", "list-units", "--plain", "--no-legend", "kpm-*.timer"))[0]
	// By both clocks, and what it runs is the agent's own program.
	if shown := run(t, "systemctl", "show", "-p", "TimersMonotonic", "-p", "TimersCalendar", "-p", "AccuracyUSec", unit); !strings.Contains(shown, "OnActiveUSec=") || !strings.Contains(shown, "OnCalendar=") || !strings.Contains(shown, "AccuracyUSec=1s") {
		t.Errorf("the timer is %s", shown)
	}
	if shown := run(t, "systemctl", "show", "-p", "ExecStart", strings.TrimSuffix(unit, ".timer")+".service"); !strings.Contains(shown, "argv[]="+root+"/KeeperPrivilegeManager rights end-overdue --root "+root+" ;") {
		t.Errorf("it runs %s", shown)
	}
	run(t, "systemctl", "stop", service)
	for deadline := time.Now().Add(2 * patience); administrators() != "" || timers() != ""; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("administrators are %q, timers %s", administrators(), timers())
		}
	}
	if state := strings.TrimSpace(run(t, "systemctl", "show", "-p", "ActiveState", "--value", service)); state != "inactive" {
		t.Errorf("the service is %s", state)
	}
	// The service has it in its journal when it runs again.
	systemctl(t, "start")
	eventually(t, "it is journalled", func() bool {
		log, err := box.Run(t.Context(), root+"/KeeperAdminCLI", "audit", "tail", "--json")
		return err == nil && strings.Contains(log, `"type":"rights-back"`) && strings.Contains(log, `"cause":"ended"`)
	})
}
