package policy

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"kpm/core/fault"
)

// Two documented keys that are one slip apart could not be told apart.
func TestKnownKeysAreFurtherApart(t *testing.T) {
	for _, known := range [][]string{policyKeys, filterKeys, actionKeys, successKeys} {
		for i, a := range known {
			for _, b := range known[i+1:] {
				if foldEqual(a, b) || fault.OneSlip(a, b) {
					t.Errorf("%s and %s", a, b)
				}
			}
		}
	}
}

// Attack: a key that looks like a known one to people and not to machines.
func TestKeysThatOnlyLookKnown(t *testing.T) {
	for _, key := range []string{"\u212aontrols", "C\u043entrols", "Controls\u200b", "Controls "} {
		policies, findings := engine.Parse("k.json", []byte(`{"PolicyId": "k", "PolicyType": "PrivilegeElevation", "UserCheck": ["*"], "MachineCheck": ["*"], "ApplicationCheck": ["*"], "`+key+`": ["ALLOW"]}`))
		if len(policies) != 1 || len(policies[0].Controls) > 0 && !policies[0].Doubtful {
			t.Errorf("%q: %v, %v", key, policies, findings)
		}
	}
}

// What a key is worth that is none of the known ones, by where it stands.
func TestKeysThatAreUnknown(t *testing.T) {
	for _, tc := range []struct{ old, new, want string }{
		{`"RiskLevel": 50`, `"Risklevels": 50`, `grants nothing: k.json:4: policy "p1", $.Risklevels: found an unknown key, expected RiskLevel; correct the spelling, or rename the key`},
		{`"RiskLevel": 50`, `"Check": 50`, `grants nothing: k.json:4: policy "p1", $.Check: found an unknown key, expected a documented one; remove it; remarks go into Description`},
		{`"RiskLevel": 50`, `"xCheck": 50`, `grants nothing: k.json:4: policy "p1", $.xCheck: found an unknown filter, expected a documented one; remove it; remarks go into Description`},
		{`"RiskLevel": 50`, `"ROLECHECK": 50`, `grants nothing: k.json:4: policy "p1", $.ROLECHECK: found an unknown filter, expected a documented one; remove it; remarks go into Description`},
		{`"RiskLevel": 50`, `"Checker": 50`, `grants nothing: k.json:4: policy "p1", $.Checker: found an unknown key, expected a documented one; remove it; remarks go into Description`},
		{`"RiskLevel": 50`, `"Filters": {"RoleCheck": {}}`, `grants nothing: k.json:4: policy "p1", $.Filters.RoleCheck: found an unknown filter, expected a documented one; remove it; remarks go into Description`},
		{`"RiskLevel": 50`, `"Filters": {"Machines": ["db1"]}`, `grants nothing: k.json:4: policy "p1", $.Filters.Machines: found an unknown filter, expected a documented one; remove it; remarks go into Description`},
		{`"MachineCheck": ["*"]`, `"Filters": {"MachineCheck": {"Names": ["db1"], "Machines": ["*"]}}`, `grants nothing: k.json:11: policy "p1", $.Filters.MachineCheck.Names: found an unknown filter, expected a documented one; remove it; remarks go into Description`},
		{`"OnFailure": {"Command": ""}`, `"OnTimeout": {}`, `grants nothing: k.json:3: policy "p1", $.Actions.OnTimeout: found an unknown key, expected a documented one; remove it; remarks go into Description`},
		{`"RuleName": "UserCheck"`, `"NameCheck": "UserCheck"`, `grants nothing: k.json:7: policy "p1", $.Rules[0].NameCheck: found an unknown key, expected a documented one; remove it; remarks go into Description`},
	} {
		policies, findings := engine.Parse("k.json", edit(t, tc.old, tc.new))
		if diff := cmp.Diff([]string{tc.want}, lines(findings)); diff != "" || policies[0].Doubtful != strings.HasPrefix(tc.want, "grants") {
			t.Errorf("%s: %s", tc.new, diff)
		}
	}
}
