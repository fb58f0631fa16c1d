package policy

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"kpm/core"
)

// withApproval is a policy that asks for APPROVAL, with what stands beside it.
func withApproval(id, beside string) string {
	return fmt.Sprintf(`{"PolicyId": %q, "PolicyName": "n", "PolicyType": "PrivilegeElevation", "Actions": {"OnSuccess": {"Controls": ["APPROVAL"]}},
		"UserCheck": ["*"], "MachineCheck": ["*"], "ApplicationCheck": ["*"]%s}`, id, beside)
}

func decideOn(t *testing.T, texts ...string) (core.Decision, []string) {
	t.Helper()
	var policies []Policy
	var said []string
	for _, text := range texts {
		list, findings := engine.Parse("r.json", []byte(text))
		policies, said = append(policies, list...), append(said, lines(findings)...)
	}
	set, findings := engine.Compile(policies, linux())
	return set.Decide(ask("/usr/bin/id", "id", "id")), append(said, lines(findings)...)
}

func TestWhomAPolicyNamesToApprove(t *testing.T) {
	by := core.PolicyRef{ID: "p", Name: "n"}
	for beside, want := range map[string]core.ApprovalRule{
		``: {Policy: by, Number: 1},
		`, "approvers": {"users": ["ada", "#1002", "%ops"], "teams": ["wheel", "%adm", "#4"]}`: {Policy: by, Number: 1,
			Users: []string{"ada", "#1002"}, Groups: []string{"ops", "wheel", "adm", "#4"}},
		`, "approvers": {"escalatedUsers": ["eve"], "escalatedTeams": ["boss"], "users": []}, "numberRequiredApprovers": 2`: {Policy: by, Number: 2,
			EscalatedUsers: []string{"eve"}, EscalatedGroups: []string{"boss"}},
		`, "approvers": {"users": ["a", "b", "c"]}, "numberRequiredApprovers": "all"`: {Policy: by, Number: 3, Users: []string{"a", "b", "c"}},
		`, "numberRequiredApprovers": 0`:                                              {Policy: by, Number: 1},
		`, "numberRequiredApprovers": null`:                                           {Policy: by, Number: 1},
		`, "approvers": {"users": [12]}`:                                              {Policy: by, Number: 1}, // of the backend
	} {
		d, said := decideOn(t, withApproval("p", beside))
		if diff := cmp.Diff([]core.ApprovalRule{want}, d.Approvals); d.Outcome != core.Pending || diff != "" {
			t.Errorf("%s: %s %s %q", beside, d.Outcome, diff, said)
		}
	}
}

// What cannot be read grants nothing, and where another policy grants, it still asks
// for no fewer approvers than were meant.
func TestApproversThatCannotBeRead(t *testing.T) {
	grant := strings.ReplaceAll(withApproval("q", ""), "APPROVAL", "ALLOW")
	for _, beside := range []string{
		`, "numberRequiredApprovers": "two"`, `, "numberRequiredApprovers": -1`, `, "numberRequiredApprovers": 65`, `, "numberRequiredApprovers": 1.5`,
		`, "numberRequiredApprovers": "all"`, `, "numberRequiredApprovers": []`,
	} {
		if d, _ := decideOn(t, withApproval("p", beside)); d.Outcome != core.Deny {
			t.Errorf("%s: %s", beside, d.Outcome)
		}
		if d, _ := decideOn(t, withApproval("p", beside), grant); d.Outcome != core.Pending || len(d.Approvals) != 1 || d.Approvals[0].Number != core.MaxApprovers {
			t.Errorf("%s: %+v", beside, d)
		}
	}
	for _, beside := range []string{
		`, "approvers": ["ada"]`, `, "approvers": {"users": "ada"}`, `, "approvers": {"users": ["*"]}`, `, "approvers": {"users": [""]}`,
		`, "approvers": {"users": [true]}`, `, "approvers": {"user": ["ada"]}`, `, "approvers": {"teams": ["a*"]}`,
		`, "approvers": {"users": [` + strings.Repeat(`"a",`, core.MaxApprovers) + `"a"]}`,
	} {
		if d, _ := decideOn(t, withApproval("p", beside)); d.Outcome != core.Deny {
			t.Errorf("%s: %s", beside, d.Outcome)
		}
	}
}

// Each policy that asks is to be satisfied. More than an answer can say are refused.
func TestApprovalsAddUp(t *testing.T) {
	var texts []string
	for i := range core.MaxApprovalRules + 1 {
		texts = append(texts, withApproval(fmt.Sprint("p", i), `, "approvers": {"users": ["ada"]}`))
	}
	if d, _ := decideOn(t, texts[:2]...); len(d.Approvals) != 2 || d.Approvals[0].Policy.ID != "p0" || d.Approvals[1].Policy.ID != "p1" {
		t.Errorf("%+v", d)
	}
	if d, _ := decideOn(t, texts...); d.Outcome != core.Deny || !strings.Contains(d.Message, "8 policies") {
		t.Errorf("%+v", d)
	}
}
