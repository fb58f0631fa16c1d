package policy

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"kpm/core"
)

// What somebody may run is what policies that they meet now grant, refuse and ask
// for, written as in policies.
func TestMay(t *testing.T) {
	set := compileSketches(t, linux(),
		sketch{id: "a", kind: "CommandLine", controls: "JUSTIFY", users: []string{"%wheel"}, apps: []string{"/usr/bin/systemctl", "vi*"},
			extra: `, "Extension": {"AllowCommands": ["systemctl restart n*x *", "vi {path:/srv/web/*}", "vi"]}, "TargetUserCheck": ["#1", "daemon"]`},
		sketch{id: "b", controls: "DENY", apps: []string{"bash", "/bin/sh"}},
		sketch{id: "c", controls: "MFA"},
		sketch{id: "d", controls: "ALLOW", users: []string{"bob"}},
		sketch{id: "e", controls: "ALLOW", machines: []string{"db1"}},
		sketch{id: "f", controls: "ALLOW", extra: `, "DayCheck": [0]`},
		sketch{id: "g", controls: "ALLOW", status: "monitor"},
		sketch{id: "h", controls: "NOTIFY"},
		sketch{id: "i", kind: "HttpAccess", controls: "DENY"},
		sketch{id: "j", controls: "ALLOW", apps: []string{"/usr/bin/id"}, extra: `, "CertificationCheck": ["*"]`},
		sketch{id: "k", kind: "AgenticAccess", controls: "ALLOW"},
		sketch{id: "l", controls: "DENY", apps: []string{"{nosuch}"}},
		sketch{id: "m", controls: "APPROVAL", extra: `, "approvers": {"users": ["ada"], "teams": ["ops"]}, "numberRequiredApprovers": 2`})
	got, ok := set.May(ask("", ""))
	ref := func(id string) core.PolicyRef { return core.PolicyRef{ID: id, Name: "Name of " + id} }
	want := core.Listing{Permissions: []core.Permission{
		{PolicyRef: ref("a"), Grants: true, Controls: []core.Control{core.ControlJustify}, Programs: []string{"/usr/bin/systemctl", "vi*"},
			Commands: []string{"systemctl restart n*x *", "vi {path:/srv/web/*}", "vi"}, Targets: []string{"daemon", "#1"}},
		{PolicyRef: ref("b"), Denies: true, Programs: []string{"bash", "/usr/bin/sh"}},
		{PolicyRef: ref("c"), Grants: true, Controls: []core.Control{core.ControlMFA}, Programs: []string{"*"}},
		{PolicyRef: ref("j"), Grants: true, Programs: []string{"/usr/bin/id"}, Signed: true},
		{PolicyRef: ref("l"), Denies: true, Programs: []string{"*"}},
		{PolicyRef: ref("m"), Grants: true, Controls: []core.Control{core.ControlApproval}, Programs: []string{"*"},
			Approval: &core.ApprovalRule{Policy: ref("m"), Users: []string{"ada"}, Groups: []string{"ops"}, Number: 2}},
	}}
	if diff := cmp.Diff(want, got); !ok || diff != "" {
		t.Error(ok, diff)
	}
	q := ask("", "")
	q.Administrator = true
	if got, ok := set.May(q); !ok || !got.Everything || len(got.Permissions) > 0 {
		t.Errorf("%+v", got)
	}
	q.User = ""
	if got, ok := set.May(q); ok {
		t.Errorf("nobody may: %+v", got)
	}
}

// However many policies there are, the listing fits into a message.
func TestAListingIsBounded(t *testing.T) {
	list := make([]sketch, maxPermissions+30)
	for i := range list {
		list[i] = sketch{id: fmt.Sprintf("p%03d", i), controls: "ALLOW", apps: []string{"/usr/bin/id"}}
	}
	got, ok := compileSketches(t, linux(), list...).May(ask("", ""))
	if !ok || len(got.Permissions) != maxPermissions || got.More != 30 {
		t.Errorf("%d, and %d more", len(got.Permissions), got.More)
	}
}

// Whoever grants something has said so before: no decision but DENY without a
// permission that says it.
func TestWhatIsAllowedIsListed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		set, _ := engine.Compile(drawPolicies(t, 12), linux())
		q := drawQuestion(t)
		d := set.Decide(q)
		list, ok := set.May(q)
		if !ok {
			t.Fatal("the question was refused")
		}
		if d.Outcome != core.Deny && !slices.ContainsFunc(list.Permissions, func(p core.Permission) bool { return p.Grants }) {
			t.Fatalf("%+v, and %+v", d, list)
		}
		for _, ref := range d.Policies {
			if !slices.ContainsFunc(list.Permissions, func(p core.Permission) bool { return p.ID == ref.ID }) {
				t.Fatalf("%s decides, and is not in %+v", ref.ID, list)
			}
		}
	})
}
