package policy

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// distance is how many slips turn one text into another, counted by the book:
// slow, and nothing like oneSlip.
func distance(a, b string) int {
	a, b = strings.ToLower(a), strings.ToLower(b)
	d := make([][]int, len(a)+1)
	for i := range d {
		d[i] = make([]int, len(b)+1)
		d[i][0] = i
	}
	for j := range d[0] {
		d[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			d[i][j] = min(d[i-1][j]+1, d[i][j-1]+1, d[i-1][j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				d[i][j] = min(d[i][j], d[i-2][j-2]+1)
			}
		}
	}
	return d[len(a)][len(b)]
}

func TestOneSlipIsADistanceOfOne(t *testing.T) {
	word := rapid.StringOfN(rapid.SampledFrom([]rune("aAbZ@[`{z")), 0, 5, -1)
	rapid.Check(t, func(t *rapid.T) {
		a, b := word.Draw(t, "a"), word.Draw(t, "b")
		if got, want := oneSlip(a, b), distance(a, b) == 1; got != want {
			t.Fatalf("%q and %q: %v", a, b, got)
		}
	})
	for _, tc := range []struct {
		a, b string
		want bool
	}{
		{"ab", "ba", true}, {"ab", "bc", false}, {"ab", "ca", false}, {"xab", "xba", true}, {"abx", "bax", true}, {"abx", "bay", false},
		{"ab", "abcd", false}, {"a", "abc", false}, {"ab", "cabd", false}, {"abc", "bca", false}, {"a@", "a`", true}, {"A[", "a{", true}, {"aZ", "Az", false},
	} {
		if got := oneSlip(tc.a, tc.b); got != tc.want || distance(tc.a, tc.b) == 1 != tc.want {
			t.Errorf("%q and %q: %v", tc.a, tc.b, got)
		}
	}
}

// Two documented keys that are one slip apart could not be told apart.
func TestKnownKeysAreFurtherApart(t *testing.T) {
	for _, known := range [][]string{policyKeys, filterKeys, actionKeys, successKeys} {
		for i, a := range known {
			for _, b := range known[i+1:] {
				if foldEqual(a, b) || oneSlip(a, b) {
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
		{`"RiskLevel": 50`, `"Check": 50`, `note: k.json:4: policy "p1", $.Check: found an unknown key, expected a documented one; it is ignored`},
		{`"RiskLevel": 50`, `"xCheck": 50`, `grants nothing: k.json:4: policy "p1", $.xCheck: found an unknown filter, expected a documented one`},
		{`"RiskLevel": 50`, `"ROLECHECK": 50`, `grants nothing: k.json:4: policy "p1", $.ROLECHECK: found an unknown filter, expected a documented one`},
		{`"RiskLevel": 50`, `"Checker": 50`, `note: k.json:4: policy "p1", $.Checker: found an unknown key, expected a documented one; it is ignored`},
		{`"RiskLevel": 50`, `"Filters": {"RoleCheck": {}}`, `grants nothing: k.json:4: policy "p1", $.Filters.RoleCheck: found an unknown filter, expected a documented one`},
		{`"RiskLevel": 50`, `"Filters": {"Machines": ["db1"]}`, `grants nothing: k.json:4: policy "p1", $.Filters.Machines: found an unknown filter, expected a documented one`},
		{`"MachineCheck": ["*"]`, `"Filters": {"MachineCheck": {"Names": ["db1"], "Machines": ["*"]}}`, `grants nothing: k.json:11: policy "p1", $.Filters.MachineCheck.Names: found an unknown filter, expected a documented one`},
		{`"OnFailure": {"Command": ""}`, `"OnTimeout": {}`, `note: k.json:3: policy "p1", $.Actions.OnTimeout: found an unknown key, expected a documented one; it is ignored`},
		{`"RuleName": "UserCheck"`, `"NameCheck": "UserCheck"`, `note: k.json:7: policy "p1", $.Rules[0].NameCheck: found an unknown key, expected a documented one; it is ignored`},
	} {
		policies, findings := engine.Parse("k.json", edit(t, tc.old, tc.new))
		if diff := cmp.Diff([]string{tc.want}, lines(findings)); diff != "" || policies[0].Doubtful != strings.HasPrefix(tc.want, "grants") {
			t.Errorf("%s: %s", tc.new, diff)
		}
	}
}
