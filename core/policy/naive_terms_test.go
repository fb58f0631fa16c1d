package policy

import (
	"encoding/json"
	"slices"
	"sort"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"kpm/core"
)

// naiveWindows are what is drawn for AutomaticApproval; those from the sixth on cannot
// be read.
var naiveWindows = []any{
	map[string]any{"TimeZone": "Europe/Berlin", "TimeCheck": []any{map[string]any{"StartTime": "9", "EndTime": "17"}}},
	map[string]any{"TimeZone": "America/New_York", "TimeCheck": []any{map[string]any{"StartTime": "22", "EndTime": "6"}}, "DayCheck": []any{3, 4}},
	map[string]any{"TimeZone": "UTC", "TimeCheck": []any{map[string]any{"StartTime": "9", "EndTime": "12"}, map[string]any{"StartTime": "12", "EndTime": "13"}}},
	map[string]any{"TimeZone": "Asia/Tokyo", "TimeCheck": []any{map[string]any{"StartTime": "6"}}, "DayCheck": []any{}},
	map[string]any{"TimeZone": "Asia/Kolkata", "TimeCheck": []any{map[string]any{"EndTime": "20"}}, "DateCheck": []any{map[string]any{"EndDate": "2026-11-19"}}},
	map[string]any{"TimeCheck": []any{map[string]any{"StartTime": "9", "EndTime": "17"}}},
	map[string]any{"TimeZone": "Local", "TimeCheck": []any{map[string]any{"StartTime": "9", "EndTime": "17"}}},
	map[string]any{"TimeZone": "UTC"},
	map[string]any{"TimeZone": "UTC", "TimeCheck": []any{"*"}},
	map[string]any{"TimeZone": "UTC", "TimeCheck": []any{map[string]any{"StartTime": "0", "EndTime": "12"}, map[string]any{"StartTime": "12", "EndTime": "0"}}},
	map[string]any{"TimeZone": "UTC", "TimeCheck": []any{map[string]any{"StartTime": "9", "EndTime": "17"}}, "Days": []any{1}},
	"always",
}

// naiveWindow reads AutomaticApproval; false if it costs the policy its grant.
func naiveWindow(v any) (map[string]any, bool) {
	w, isObject := v.(map[string]any)
	switch zone, _ := w["TimeZone"].(string); {
	case v == nil:
		return nil, true
	case !isObject, zone == "", zone == "Local":
		return nil, false
	}
	for key := range w {
		if !slices.Contains([]string{"TimeZone", "TimeCheck", "DayCheck", "DateCheck"}, key) {
			return nil, false
		}
	}
	list, _ := w["TimeCheck"].([]any)
	if len(list) == 0 || list[0] == "*" {
		return nil, false
	}
	for out := range 24 { // some hour of the day has to be left out
		clock := map[string]any{"TimeCheck": w["TimeCheck"]}
		if !(&naive{}).times(clock, Question{Time: time.Date(2026, 11, 18, out, 0, 0, 0, time.UTC)}).grants {
			return w, true
		}
	}
	return nil, false
}

// naiveAutomatic looks at every minute until the window is not open any more.
func naiveAutomatic(p map[string]any, at time.Time) *core.AutomaticApproval {
	e, _ := p["Extension"].(map[string]any)
	w, ok := naiveWindow(e["AutomaticApproval"])
	if w == nil || !ok {
		return nil
	}
	zone, err := time.LoadLocation(w["TimeZone"].(string))
	if err != nil {
		panic(err)
	}
	open := func(at time.Time) bool { return (&naive{}).times(w, Question{Time: at.In(zone)}).grants }
	if !open(at) {
		return nil
	}
	for at = at.Truncate(time.Minute); open(at); {
		at = at.Add(time.Minute)
	}
	return &core.AutomaticApproval{Until: at.UnixMilli()}
}

// naiveGroups reads EphemeralAccount: whether there is to be one, and in what groups.
func naiveGroups(v any) (*core.TransientTerms, bool) {
	switch v := v.(type) {
	case nil:
		return nil, true
	case bool:
		if !v {
			return nil, true
		}
		return &core.TransientTerms{}, true
	case map[string]any:
		list, ok := entries(v["Groups"])
		return &core.TransientTerms{Groups: list}, ok
	}
	return nil, false
}

// naiveAccount is what policies that all allow a command say of its account.
func naiveAccount(grants []map[string]any) (account *core.TransientTerms) {
	for _, p := range grants {
		e, _ := p["Extension"].(map[string]any)
		terms, _ := naiveGroups(e["EphemeralAccount"])
		switch {
		case terms == nil:
		case account == nil:
			account = terms
		default:
			both := []string{}
			for _, group := range account.Groups {
				if slices.Contains(terms.Groups, group) {
					both = append(both, group)
				}
			}
			account = &core.TransientTerms{Groups: both}
		}
	}
	return account
}

// naiveSession is where policies that all allow a command have it run as whoever asks.
func naiveSession(grants []map[string]any) (where string) {
	for _, p := range grants {
		e, _ := p["Extension"].(map[string]any)
		switch e["UserSession"] {
		case "UserDesktop":
			return "UserDesktop"
		case "User":
			where = "User"
		}
	}
	return where
}

// children is the strictest rule of the policies that allow q.
func (n *naive) children(policies []string, q Question) string {
	if q.Administrator && !n.enforce {
		return "inherit"
	}
	strictest := 0
	for _, text := range policies {
		var p map[string]any
		if json.Unmarshal([]byte(text), &p) != nil {
			panic(text)
		}
		met, list := n.policy(p, q)
		if !met.grants || slices.Contains(list, "DENY") || !slices.ContainsFunc(list, func(c string) bool { return c == "ALLOW" || c == "MFA" || c == "JUSTIFY" || c == "APPROVAL" }) {
			continue
		}
		e, _ := p["Extension"].(map[string]any)
		rule, _ := e["ChildProcesses"].(string)
		strictest = max(strictest, slices.Index([]string{"inherit", "own-rule", "deny"}, rule))
	}
	return []string{"inherit", "own-rule", "deny"}[strictest]
}

// child decides about a program that an allowed one starts.
func (n *naive) child(policies []string, parent, child Question, satisfied []core.Control) core.Decision {
	own := n.decide(policies, child)
	above := n.decide(policies, parent)
	rule := n.children(policies, parent)
	granted := own.Outcome != core.Deny
	switch {
	case !granted && len(own.Policies) > 0, above.Outcome == core.Deny, rule == "deny", rule == "own-rule" && !granted:
		return core.Decision{Outcome: core.Deny}
	}
	// What is asked of the child holds whether or not something allows it by itself:
	// beside one that allows everything and asks for nothing, that is all there is.
	all := `{"PolicyId": "zz", "PolicyType": "PrivilegeElevation", "UserCheck": ["*"], "ApplicationCheck": ["*"], "TargetUserCheck": ["*"], "Actions": {"OnSuccess": {"Controls": ["ALLOW"]}}}`
	var missing []core.Control
	for _, c := range n.decide(append(slices.Clone(policies), all), child).Controls {
		if !slices.Contains(satisfied, c) {
			missing = append(missing, c)
		}
	}
	if len(missing) > 0 {
		return core.Decision{Outcome: core.Pending, Controls: missing}
	}
	return core.Decision{Outcome: core.Allow}
}

// About children the engine says what docs/policies.md says.
func TestTheEngineSaysOfChildrenWhatTheDocumentSays(t *testing.T) {
	outcomes := map[core.Outcome]int{}
	rapid.Check(t, func(t *rapid.T) {
		policies := append(rapid.SliceOfN(rapid.Custom(drawWritten), 1, 6).Draw(t, "policies"), drawWide(t))
		set := compileWritten(t.Fatalf, policies)
		for range 10 {
			parent, child := drawQuestion(t), drawQuestion(t)
			child.User, child.UserName, child.OtherNames = parent.User, parent.UserName, parent.OtherNames
			child.Target, child.TargetName, child.TargetAdministrator = parent.Target, parent.TargetName, parent.TargetAdministrator
			satisfied := rapid.SampledFrom([][]core.Control{nil, {core.ControlJustify}, {core.ControlJustify, core.ControlMFA}, {core.ControlApproval, core.ControlJustify}}).Draw(t, "satisfied")
			env := linux()
			n := naive{links: env.Links, securePath: env.SecurePath, collections: env.Collections, missing: child.MissingGroups}
			parent.MissingGroups = child.MissingGroups
			got, want := set.DecideChild(parent, child, satisfied), n.child(policies, parent, child, satisfied)
			outcomes[got.Outcome]++
			if diff := cmp.Diff(want, core.Decision{Outcome: got.Outcome, Controls: got.Controls}, cmpopts.EquateEmpty()); diff != "" {
				t.Fatalf("%s\nparent %+v\nchild %+v\nsatisfied %v\n%v", diff, parent, child, satisfied, policies)
			}
		}
	})
	for _, outcome := range []core.Outcome{core.Allow, core.Deny, core.Pending} {
		if outcomes[outcome] < 5 {
			t.Errorf("%d of the questions ended in %s: %v", outcomes[outcome], outcome, outcomes)
		}
	}
}

// removal is which LeastPrivilege policies take somebody's rights: those that are met
// wholly, and in which nothing is in doubt.
func (n *naive) removal(policies []string, q Question) (ids []string) {
	for _, text := range policies {
		var p map[string]any
		if json.Unmarshal([]byte(text), &p) != nil {
			panic(text)
		}
		e, _ := p["Extension"].(map[string]any)
		met := n.users(p["UserCheck"], q).and(n.machines(p["MachineCheck"], q)).and(n.times(p, q))
		left := !isEmpty(e["Exclusions"]) && n.users(e["Exclusions"], q).restricts
		_, slip := e["Exclusion"]
		if status, _ := p["Status"].(string); met.grants && !left && !slip && e["CustomFilterJobId"] == nil && (status == "enforce" || status == "") && p["RunAs"] == nil {
			ids = append(ids, p["PolicyId"].(string))
		}
	}
	sort.Strings(ids)
	return ids
}

// About least privilege the engine says what docs/policies.md says.
func TestTheEngineSaysOfLeastPrivilegeWhatTheDocumentSays(t *testing.T) {
	removed := 0
	rapid.Check(t, func(t *rapid.T) {
		var policies []string
		for i := range rapid.IntRange(1, 4).Draw(t, "how many") {
			p := map[string]any{"PolicyId": string(rune('a' + i)), "PolicyType": TypeLeastPrivilege, "MachineCheck": []string{"*"}}
			p["UserCheck"] = rapid.SliceOfN(rapid.SampledFrom(slices.Concat(someUsers, []string{"*", "*", "*"})), 0, 2).Draw(t, "users")
			if rapid.Bool().Draw(t, "machines are there") {
				p["MachineCheck"] = rapid.SliceOfN(rapid.SampledFrom(someMachines), 0, 2).Draw(t, "machines")
			}
			drawTimes(t, p)
			if status := rapid.SampledFrom([]string{"", "enforce", "enforce", "monitor", "off"}).Draw(t, "status"); status != "" {
				p["Status"] = status
			}
			extension := map[string]any{}
			if rapid.Bool().Draw(t, "exclusions are there") {
				extension["Exclusions"] = rapid.SliceOfN(rapid.SampledFrom(someUsers), 0, 2).Draw(t, "exclusions")
			}
			switch rapid.IntRange(0, 9).Draw(t, "slip") {
			case 0:
				extension["CustomFilterJobId"] = "office"
			case 1:
				extension["Exclusion"] = []string{"bob"}
			case 2:
				p["RunAs"] = "root"
			}
			p["Extension"] = extension
			data, err := json.Marshal(p)
			if err != nil {
				t.Fatal(err)
			}
			policies = append(policies, string(data))
		}
		set := compileWritten(t.Fatalf, policies)
		for range perSet {
			q := drawQuestion(t)
			q.Kind, q.Target, q.TargetName, q.TargetAdministrator = TypeLeastPrivilege, "0", "root", true
			env := linux()
			n := naive{links: env.Links, securePath: env.SecurePath, collections: env.Collections, missing: q.MissingGroups}
			removal := set.Removal(q)
			removed += len(removal.Policies)
			if diff := cmp.Diff(n.removal(policies, q), ids(removal.Policies), cmpopts.EquateEmpty()); diff != "" {
				t.Fatalf("%s\n%+v\n%v", diff, q, policies)
			}
		}
	})
	if removed < 20 {
		t.Errorf("only %d were removed", removed)
	}
}
