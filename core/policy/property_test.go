package policy

import (
	"encoding/json"
	"fmt"
	"math/rand"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"kpm/core"
)

// The generators draw from small alphabets, so that policies and questions
// meet often.
var (
	someUsers = []string{"*", "alice", "bob", `CORP\alice`, "#1000", "#1001", "%wheel", "%#34", "uid-of-admins", "uid-of-wheel",
		"%nosuch", "q83vEjRWeJCrze8SNFZ4kA", "al*"}
	someTargets  = []string{"*", "root", "daemon", "#0", "#1", "uid-of-admins", "%wheel"}
	someMachines = []string{"*", "web1", "db1", "uid-of-web", "q83vEjRWeJCrze8SNFZ4kA"}
	somePrograms = []string{"*", "/usr/bin/vi", "/usr/bin/vim.basic", "/bin/vi", "vi", "vim.*", "/usr/*", "/usr/bin/v*", "/home/*/vi", "*/vi",
		"{usr}/bin/*", "{userdesktop}/x", "uid-of-editors", "bin/vi", strings.Repeat("ab", 32), strings.Repeat("cd", 32)}
	somePaths    = []string{"/usr/bin/vi", "/usr/bin/vim.basic", "/home/alice/vi", "/usr/lib/vi", "/bin/vi"}
	someRequests = []string{"", "vi", "/usr/bin/vi", "/bin/vi", "vim.basic", "/usr/bin/../bin/vi"}
)

func drawPolicy(t *rapid.T) Policy {
	pick := func(label string, from []string, most int) []string {
		return rapid.SliceOfN(rapid.SampledFrom(from), 0, most).Draw(t, label)
	}
	p := Policy{
		ID:     rapid.StringMatching(`[a-e]`).Draw(t, "id"),
		Type:   rapid.SampledFrom([]string{TypePrivilegeElevation, TypeCommandLine}).Draw(t, "type"),
		Status: rapid.SampledFrom([]Status{Enforce, Enforce, Enforce, Off, Monitor, MonitorAndNotify}).Draw(t, "status"),
		Controls: rapid.SliceOfN(rapid.SampledFrom([]core.Control{core.ControlAllow, core.ControlAllow, core.ControlAllow, core.ControlDeny,
			core.ControlMFA, core.ControlJustify, core.ControlApproval, core.ControlNotify, core.ControlAudit, core.ControlRecord}), 0, 3).Draw(t, "controls"),
		Users: pick("users", someUsers, 3), Machines: pick("machines", someMachines, 2), Applications: pick("programs", somePrograms, 3),
		Targets:  pick("targets", someTargets, 1),
		Days:     uint8(rapid.SampledFrom([]int{0, 0, 0, 1 << 3, 1 << 4}).Draw(t, "days")),
		Doubtful: rapid.IntRange(0, 9).Draw(t, "doubtful") == 0,
	}
	if rapid.IntRange(0, 4).Draw(t, "scoped") == 0 {
		p.Own = rapid.SliceOfN(rapid.SampledFrom([]string{"vi", "vi /etc/hosts", "/usr/bin/vi *", "vi $x"}), 0, 2).Draw(t, "commands")
	}
	if rapid.IntRange(0, 4).Draw(t, "timed") == 0 {
		p.Times = []TimeRange{{rapid.IntRange(0, 23).Draw(t, "from") * 3600, rapid.IntRange(0, 23).Draw(t, "to") * 3600}}
	}
	return p
}

// drawPolicies draws up to most policies.
func drawPolicies(t *rapid.T, most int) []Policy {
	return rapid.SliceOfN(rapid.Custom(drawPolicy), 0, most).Draw(t, "policies")
}

func drawQuestion(t *rapid.T) Question {
	target := rapid.SampledFrom([]string{"root", "root", "daemon"}).Draw(t, "target")
	return Question{
		Kind:       TypePrivilegeElevation,
		TargetName: target, Target: map[string]core.UserID{"root": "0", "daemon": "1"}[target], TargetAdministrator: target == "root",
		Links:    rapid.SliceOfN(rapid.SampledFrom([]string{"/usr/bin/vi", "/etc/alternatives/vi"}), 0, 2).Draw(t, "links"),
		User:     core.UserID(rapid.SampledFrom([]string{"1000", "1001"}).Draw(t, "uid")),
		UserName: rapid.SampledFrom([]string{"alice", "bob", `CORP\alice`, "bob@corp"}).Draw(t, "user"),
		Groups:   rapid.SliceOfN(rapid.SampledFrom([]string{"10", "34", "4000"}), 0, 2).Draw(t, "groups"),

		GroupNames:         rapid.SliceOfN(rapid.SampledFrom([]string{"wheel", `CORP\wheel`, "backup"}), 0, 2).Draw(t, "group names"),
		DoubtfulGroups:     rapid.SliceOfN(rapid.SampledFrom([]string{"10", "34", "4000"}), 0, 2).Draw(t, "doubtful groups"),
		DoubtfulGroupNames: rapid.SliceOfN(rapid.SampledFrom([]string{"wheel", "wheel@corp"}), 0, 1).Draw(t, "doubtful group names"),
		GroupsUnknown:      rapid.IntRange(0, 4).Draw(t, "unknown groups") == 0,
		MissingGroups:      rapid.SliceOfN(rapid.SampledFrom([]string{"nosuch", "wheel"}), 0, 2).Draw(t, "missing groups"),

		OtherNames: rapid.SliceOfN(rapid.SampledFrom([]string{"alice", "bob", "toor"}), 0, 1).Draw(t, "other names"),
		Machine:    rapid.SampledFrom([]string{"web1", "WEB2", "web1.corp", "db1", ""}).Draw(t, "machine"),
		Path:       rapid.SampledFrom(somePaths).Draw(t, "path"),
		Requested:  rapid.SampledFrom(someRequests).Draw(t, "requested"),
		Hash:       rapid.SampledFrom([]string{"", strings.Repeat("ab", 32)}).Draw(t, "hash"),
		Arguments:  rapid.SliceOfN(rapid.SampledFrom([]string{"vi", "nano", "./vim.basic", "/etc/hosts", "-x"}), 0, 3).Draw(t, "argv"),
		Time:       noon.Add(time.Duration(rapid.IntRange(0, 48).Draw(t, "hours")) * time.Hour),
	}
}

// linear looks at every entry of every rule: what the index must find.
func linear(x *index, a *asked) hits {
	var found hits
	for i := range x.rules {
		by := x.rules[i].program(a)
		if by != nothing {
			by = x.rules[i].meets(a, by)
		}
		if by != nothing {
			found = append(found, hit{int32(i), by})
		}
	}
	return found
}

func TestIndexFindsWhatLinearSearchFinds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		// Often more policies than divideAbove.
		set, _ := engine.Compile(drawPolicies(t, 60), linux())
		q := drawQuestion(t)
		kind, a := set.of(q.Kind), new(asked)
		if !set.ask(kind, q, a) {
			t.Fatal("the question was refused")
		}
		strongest := map[int32]strength{}
		for _, h := range kind.enforcing.find(a, nil) {
			strongest[h.rule] = max(strongest[h.rule], h.by)
		}
		want := map[int32]strength{}
		for _, h := range linear(&kind.enforcing, a) {
			want[h.rule] = h.by
		}
		if diff := cmp.Diff(want, strongest); diff != "" {
			t.Fatal(diff)
		}
		if diff := cmp.Diff(kind.enforcing.decide(a, linear(&kind.enforcing, a)), set.Decide(q)); diff != "" {
			t.Fatal(diff)
		}
	})
}

// atLeastAsRestrictive orders decisions: DENY is most; controls are
// compared by inclusion.
func atLeastAsRestrictive(a, b core.Decision) bool {
	switch {
	case a.Outcome == core.Deny:
		return true
	case b.Outcome == core.Deny:
		return false
	}
	for _, c := range b.Controls {
		if !slices.Contains(a.Controls, c) {
			return false
		}
	}
	return true
}

func TestAnotherPolicyNeverLoosens(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		policies, q := drawPolicies(t, 6), drawQuestion(t)
		before, _ := engine.Compile(policies, linux())
		after, _ := engine.Compile(append(slices.Clone(policies), drawPolicy(t)), linux())
		was, is := before.Decide(q), after.Decide(q)
		if was.Outcome == core.Deny && len(was.Policies) == 0 {
			return // the first grant over the default is what policies are for
		}
		if !atLeastAsRestrictive(is, was) {
			t.Fatalf("was %+v, is %+v", was, is)
		}
	})
}

func TestOrderDoesNotMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		policies, q := drawPolicies(t, 8), drawQuestion(t)
		for i := range policies {
			policies[i].ID += fmt.Sprint(i) // equal ids are told apart by nothing
		}
		one, _ := engine.Compile(policies, linux())
		shuffled := slices.Clone(policies)
		rand.New(rand.NewSource(rapid.Int64().Draw(t, "seed"))).Shuffle(len(shuffled), func(i, j int) {
			shuffled[i], shuffled[j] = shuffled[j], shuffled[i]
		})
		other, _ := engine.Compile(shuffled, linux())
		if diff := cmp.Diff(one.Decide(q), other.Decide(q)); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestOffAndMonitorNeverChangeAnOutcome(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		policies, q := drawPolicies(t, 6), drawQuestion(t)
		quiet := drawPolicy(t)
		quiet.Status = rapid.SampledFrom([]Status{Off, Monitor, MonitorAndNotify}).Draw(t, "quiet")
		without, _ := engine.Compile(policies, linux())
		with, _ := engine.Compile(append(slices.Clone(policies), quiet), linux())
		if diff := cmp.Diff(without.Decide(q), with.Decide(q)); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestOnlyASoundGrantGrants(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		policies, q := drawPolicies(t, 6), drawQuestion(t)
		grants := []core.Control{core.ControlAllow, core.ControlMFA, core.ControlJustify, core.ControlApproval}
		policies = slices.DeleteFunc(policies, func(p Policy) bool {
			return !p.Doubtful && slices.ContainsFunc(p.Controls, func(c core.Control) bool { return slices.Contains(grants, c) })
		})
		set, _ := engine.Compile(policies, linux())
		if got := set.Decide(q); got.Outcome != core.Deny {
			t.Fatalf("got %+v", got)
		}
	})
}

// One slip in any key that this release knows, or anything unknown where a
// value is known, and the policy grants nothing.
func TestOneSlipInAnyKeyGrantsNothing(t *testing.T) {
	var model map[string]any
	if err := json.Unmarshal([]byte(strings.NewReplacer(`["MFA", "JUSTIFY"]`, `["ALLOW"]`, `"CertificationCheck": [], `, ``).Replace(fullModel)), &model); err != nil {
		t.Fatal(err)
	}
	delete(model, "DateCheck")
	delete(model, "TimeCheck")
	delete(model, "DayCheck")
	decide := func(model map[string]any) (core.Outcome, []Finding) {
		data, err := json.Marshal(model)
		if err != nil {
			t.Fatal(err)
		}
		policies, findings := engine.Parse("slip.json", data)
		if Faulty(findings) {
			return core.Deny, findings
		}
		set, _ := engine.Compile(policies, linux())
		return set.Decide(ask("/usr/bin/id", "id", "id")).Outcome, findings
	}
	if got, findings := decide(model); got != core.Allow {
		t.Fatalf("the sound policy: %s, %v", got, findings)
	}
	rapid.Check(t, func(t *rapid.T) {
		key := rapid.SampledFrom(policyKeys).Draw(t, "key")
		at := rapid.IntRange(0, len(key)-1).Draw(t, "at")
		slipped := map[string]string{
			"left out": key[:at] + key[at+1:],
			"added":    key[:at] + "x" + key[at:],
			"replaced": key[:at] + "x" + key[at+1:],
		}[rapid.SampledFrom([]string{"left out", "added", "replaced"}).Draw(t, "how")]
		if slices.ContainsFunc(policyKeys, func(k string) bool { return strings.EqualFold(k, slipped) }) {
			return
		}
		changed := map[string]any{}
		for k, v := range model {
			changed[k] = v
		}
		changed[slipped] = changed[key]
		if changed[slipped] == nil {
			changed[slipped] = []any{}
		}
		if rapid.Bool().Draw(t, "renamed") {
			delete(changed, key)
		}
		if got, findings := decide(changed); got != core.Deny {
			t.Fatalf("%q for %q: %s, %v", slipped, key, got, findings)
		}
	})
}

// A DENY holds even where the road to it is misspelt.
func TestAMisspeltDenyDenies(t *testing.T) {
	for _, text := range []string{
		`{"PolicyId": "d", "PolicyType": "PrivilegeElevation", "Actons": {"OnSuccess": {"Controls": ["DENY"]}}}`,
		`{"PolicyId": "d", "PolicyType": "PrivilegeElevation", "Actions": {"OnSucess": {"Controls": ["DENY"]}}}`,
		`{"PolicyId": "d", "PolicyType": "PrivilegeElevation", "Actions": {"OnSuccess": {"Control": ["DENY"]}}}`,
		`{"PolicyId": "d", "PolicyType": "PrivilegeElevation", "Contorls": ["DENY"]}`,
		`{"PolicyId": "d", "PolicyType": "PrivilegeElevation", "Controls": ["DENY", "??"], "Status": "??", "UserChek": ["bob"]}`,
	} {
		denies, findings := engine.Parse("d.json", []byte(text))
		if Faulty(findings) {
			t.Fatal(findings)
		}
		allows, _ := engine.Parse("a.json", []byte(sketch{id: "a", controls: "ALLOW"}.json()))
		set, _ := engine.Compile(append(denies, allows...), linux())
		if got := set.Decide(ask("/usr/bin/id", "id", "id")); got.Outcome != core.Deny || !cmp.Equal(ids(got.Policies), []string{"d"}) {
			t.Errorf("%s\ngot %+v", text, got)
		}
	}
}
