package policy

import (
	"strings"
	"testing"

	"kpm/core"
)

// A grant means the administrator unless the policy names other users; what
// restricts does so whoever the target is (decision 32b).
func TestTargetUsers(t *testing.T) {
	root := Question{Target: "0", TargetName: "root", TargetAdministrator: true}
	toor := Question{Target: "0", TargetName: "toor", TargetAdministrator: true}
	daemon := Question{Target: "1", TargetName: "daemon"}
	corp := Question{Target: "77", TargetName: `CORP\daemon`}
	for _, tc := range []struct {
		filter string // entries, or what stands instead of the filter
		target Question
		want   strength
	}{
		{"", root, full},
		{"", toor, full},
		{"", daemon, restricts},
		{"[]", root, full},
		{"[]", daemon, restricts},
		{"null", daemon, restricts},
		{`["daemon"]`, daemon, full},
		{`["daemon"]`, root, nothing},
		{`["daemon"]`, corp, restricts}, // perhaps that one is meant
		{`["#1"]`, daemon, full},
		{`["#1"]`, root, nothing},
		{`["root"]`, root, full},
		{`["root"]`, daemon, nothing},
		{`["root", "daemon"]`, daemon, full},
		{`["*"]`, root, full},
		{`["*"]`, daemon, full},
		{`["uid-of-admins"]`, Question{Target: "1007", TargetName: "carol"}, full},
		{`["uid-of-admins"]`, daemon, nothing},
		// What cannot be resolved restricts every target and grants none.
		{`["%wheel"]`, root, restricts},
		{`["dae*"]`, daemon, restricts},
		{`["uid-of-wheel"]`, daemon, restricts},
		{`["q83vEjRWeJCrze8SNFZ4kA"]`, root, restricts},
		{`["#"]`, root, restricts},
		{`"daemon"`, daemon, restricts},
		{`["daemon", 1]`, root, restricts},
	} {
		t.Run(tc.filter+" as "+tc.target.TargetName, func(t *testing.T) {
			q := ask("/usr/bin/id", "id", "id")
			q.Target, q.TargetName, q.TargetAdministrator = tc.target.Target, tc.target.TargetName, tc.target.TargetAdministrator
			s := sketch{}
			if tc.filter != "" {
				s.extra = `, "TargetUserCheck": ` + tc.filter
			}
			if got := meets(t, linux(), s, q); got != tc.want {
				t.Errorf("got %v, want %v", got, tc.want)
			}
		})
	}
}

// Attack: somebody means to grant a command as another user, writes it as other
// tools do, and has granted root.
func TestUnknownKeysGrantNothing(t *testing.T) {
	for _, tc := range []struct{ extra, says string }{
		{`, "RunAs": "daemon"`, "TargetUserCheck"},
		{`, "TargetUser": "daemon"`, "TargetUserCheck"},
		{`, "Duration": 5`, "remove it"},
		{`, "AllowCommands": ["id"]`, "Extension.AllowCommands"},
		{`, "Extension": {"RunAs": "daemon"}`, "$.Extension.RunAs"},
		{`, "Filters": {"TicketCheck": {}}`, "$.Filters.TicketCheck"},
		{`, "TimeCheck": [{"StartTime": "0", "EndTime": "23:59", "Zone": "UTC"}]`, "$.TimeCheck[0].Zone"},
		{`, "Rules": [{"RuleName": "User", "Expression": "CheckUser()", "Negate": true}]`, "$.Rules[0].Negate"},
	} {
		s := sketch{id: "p", controls: "ALLOW", extra: tc.extra}
		if got := meets(t, linux(), s, ask("/usr/bin/id", "id", "id")); got != restricts {
			t.Errorf("%s: got %v", tc.extra, got)
		}
		if got := strings.Join(said(t, linux(), s), "\n"); !strings.HasPrefix(got, "grants nothing: ") || !strings.Contains(got, tc.says) {
			t.Errorf("%s: lint says %s", tc.extra, got)
		}
	}
	// What is there for people and editors narrows nothing.
	s := sketch{id: "p", controls: "ALLOW", extra: `, "Description": "for the printer", "Comment": "ask Eve", "$schema": "policy.json"`}
	if got := compileSketches(t, linux(), s).Decide(ask("/usr/bin/id", "id", "id")); got.Outcome != core.Allow {
		t.Errorf("remarks: %+v", got)
	}
}
