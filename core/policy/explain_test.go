package policy

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"kpm/core"
)

// explained compiles sketches and explains q.
func explained(t *testing.T, q Question, sketches ...sketch) Explanation {
	t.Helper()
	var all []Policy
	for _, s := range sketches {
		policies, findings := engine.Parse("x.json", []byte(s.json()))
		if Faulty(findings) {
			t.Fatal(findings)
		}
		all = append(all, policies...)
	}
	set, _ := engine.Compile(all, linux())
	return set.Explain(q, all)
}

// Each filter that keeps a policy out is named, with what it wants and what there
// is, and no other.
func TestExplainNamesTheFilter(t *testing.T) {
	id := ask("/usr/bin/id", "id", "id", "-u")
	eighty := uint8(80)
	risky := id
	risky.Risk = &eighty
	for _, tc := range []struct {
		name   string
		policy sketch
		q      Question
		filter string
		wanted []string
		found  string
		result Result
	}{
		{"a user", sketch{users: []string{"bob", "%backup"}}, id, "UserCheck", []string{"bob", "%backup"}, `"alice" (#1000), in the groups "alice" "wheel" (1000, 10)`, NotMet},
		{"nobody", sketch{users: []string{}}, id, "UserCheck", []string{}, `"alice" (#1000), in the groups "alice" "wheel" (1000, 10)`, Restricts},
		{"a machine", sketch{machines: []string{"db1"}}, id, "MachineCheck", []string{"db1"}, "web1", NotMet},
		{"a program", sketch{apps: []string{"/usr/bin/vi"}}, id, "ApplicationCheck", []string{"/usr/bin/vi"}, `"/usr/bin/id", asked for as "id"`, NotMet},
		{"a target", sketch{extra: `, "TargetUserCheck": ["postgres"]`}, id, "TargetUserCheck", []string{"postgres"}, `"root" (#0)`, NotMet},
		{"a date", sketch{extra: `, "DateCheck": [{"StartDate": "2027-01-01", "EndDate": "2027-01-31"}]`}, id, "DateCheck", []string{"2027-01-01 to 2027-01-31"}, "2026-11-18", NotMet},
		{"a time", sketch{extra: `, "TimeCheck": [{"StartTime": "13", "EndTime": "17:30"}]`}, id, "TimeCheck", []string{"13:00:00 to 17:30:00"}, "12:00:00", NotMet},
		{"a day", sketch{extra: `, "DayCheck": [0, 6]`}, id, "DayCheck", []string{"Sunday", "Saturday"}, "Wednesday", NotMet},
		{"a signer", sketch{extra: `, "CertificationCheck": ["*"]`}, id, "CertificationCheck", []string{"*"}, "signatures were not read", Restricts},
		{"a risk", sketch{extra: `, "RiskLevel": 50`}, risky, "RiskLevel", []string{"at most 50"}, "80", Restricts},
		{"a command", sketch{kind: "CommandLine", extra: `, "Extension": {"AllowCommands": ["id -g"]}`}, id, "Extension.AllowCommands", []string{"id -g"}, `"id" "-u"`, NotMet},
	} {
		tc.policy.id, tc.policy.controls = "p", "ALLOW"
		e := explained(t, tc.q, tc.policy)
		p := e.Policies[0]
		if e.Decision.Outcome != core.Deny || p.Result != tc.result || !slices.Equal(p.Because, []string{tc.filter}) {
			t.Errorf("%s: %s, %s because of %q", tc.name, e.Decision.Outcome, p.Result, p.Because)
			continue
		}
		at := slices.IndexFunc(p.Filters, func(f FilterResult) bool { return f.Name == tc.filter })
		if want := (FilterResult{tc.filter, tc.wanted, tc.found, tc.result}); !cmp.Equal(p.Filters[at], want) {
			t.Errorf("%s: %s", tc.name, cmp.Diff(want, p.Filters[at]))
		}
	}
}

func TestExplainSaysWhatEachPolicyDoes(t *testing.T) {
	e := explained(t, ask("/usr/bin/id", "id", "id"),
		sketch{id: "a", controls: "ALLOW"}, sketch{id: "j", controls: "JUSTIFY MFA"}, sketch{id: "n", controls: "NOTIFY"},
		sketch{id: "off", controls: "DENY", status: "off"}, sketch{id: "watch", controls: "DENY", status: "monitor"},
		sketch{id: "http", kind: "HttpAccess", controls: "DENY"}, sketch{id: "agent", kind: "AgenticAccess", controls: "ALLOW"})
	want := map[string][2]string{
		"a": {"met", "grants"}, "j": {"met", "asks for JUSTIFY, MFA, and grants then"}, "n": {"met", "grants nothing"},
		"off": {"not asked", "none: it is off"}, "watch": {"met", "none, it only watches; enforced: denies"},
		"http": {"not asked", "it answers other questions"}, "agent": {"met", "grants nothing"},
	}
	got := map[string][2]string{}
	for _, p := range e.Policies {
		got[p.ID] = [2]string{string(p.Result), p.Effect}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if e.Decision.Outcome != core.Pending || e.Watch.Outcome != core.Deny || !cmp.Equal(ids(e.Watch.Policies), []string{"watch"}) {
		t.Errorf("%+v", e)
	}
}

// What is explained is what is decided: by policies that are met, and by no other.
func TestExplainSaysWhatDecides(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		policies, q := drawPolicies(t, 30), drawQuestion(t)
		set, _ := engine.Compile(policies, linux())
		e := set.Explain(q, policies)
		kind, a := set.of(q.Kind), new(asked)
		if !set.ask(kind, q, a) {
			t.Fatal("the question was refused")
		}
		found := map[int32]strength{}
		for _, h := range kind.enforcing.find(a, nil) {
			place := kind.enforcing.rules[h.rule].place
			found[place] = max(found[place], h.by)
		}
		for i, p := range policies {
			if p.Status == Enforce && e.Policies[i].Result != resultOf(found[int32(i)]) {
				t.Errorf("policy %d: %s, and the decision found %d", i, e.Policies[i].Result, found[int32(i)])
			}
			if met := len(e.Policies[i].Because) == 0; p.Status != Off && met != (e.Policies[i].Result == Met) {
				t.Errorf("policy %d: %s because of %q", i, e.Policies[i].Result, e.Policies[i].Because)
			}
		}
		if diff := cmp.Diff(set.Decide(q), e.Decision); diff != "" {
			t.Error(diff)
		}
	})
}

func TestDatesAreExplainedAsTheyAreWritten(t *testing.T) {
	policies, _ := engine.Parse("d.json", []byte(sketch{id: "d", controls: "ALLOW", extra: `, "DateCheck": [{"StartDate": 0, "EndDate": 86400000}, {"StartDate": 1000}, {"EndDate": 1000}]`}.json()))
	var got []string
	for _, d := range policies[0].Dates {
		got = append(got, d.String())
	}
	want := []string{"1970-01-01T00:00:00Z to 1970-01-02T00:00:00Z", "from 1970-01-01T00:00:01Z", "until 1970-01-01T00:00:01Z"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
}

// Monitoring says what would come of it, beside what is enforced, and tells people
// only if it is to.
func TestWhatMonitoringWouldDo(t *testing.T) {
	q := ask("/usr/bin/id", "id", "id")
	notice := `, "NotificationMessage": "id will need a reason soon."`
	for _, tc := range []struct {
		name     string
		policies []sketch
		outcome  core.Outcome
		controls []core.Control
		notices  []core.Notice
	}{
		{"nothing monitors", []sketch{{controls: "ALLOW"}}, "", nil, nil},
		{"it would grant", []sketch{{status: "monitor", controls: "ALLOW"}}, core.Allow, nil, nil},
		{"it would deny", []sketch{{controls: "ALLOW"}, {status: "monitor", controls: "DENY"}}, core.Deny, nil, nil},
		{"it would ask", []sketch{{controls: "ALLOW"}, {status: "monitor_and_notify", controls: "JUSTIFY", extra: notice}}, core.Pending,
			[]core.Control{core.ControlJustify}, []core.Notice{{Text: "id will need a reason soon."}}},
		{"a notice to be acknowledged", []sketch{{controls: "ALLOW"}, {status: "monitor_and_notify", controls: "ALLOW", extra: notice + `, "NotificationRequiresAcknowledge": true`}}, core.Allow,
			nil, []core.Notice{{Text: "id will need a reason soon.", Acknowledge: true}}},
		{"a notice of one that only monitors", []sketch{{status: "monitor", controls: "NOTIFY", extra: notice}}, core.Deny, nil, nil},
		{"beside a DENY", []sketch{{controls: "DENY"}, {status: "monitor", controls: "ALLOW"}}, core.Deny, nil, nil},
	} {
		got := compileSketches(t, linux(), tc.policies...).Watching(q)
		got.Policies = nil
		if diff := cmp.Diff(core.Monitored{Outcome: tc.outcome, Controls: tc.controls, Notices: tc.notices}, got); diff != "" {
			t.Errorf("%s: %s", tc.name, diff)
		}
	}
	q.Administrator, q.Time = true, q.Time.Add(time.Hour)
	if got := compileSketches(t, linux(), sketch{status: "monitor", controls: "DENY"}).Watching(q); got.Outcome != core.Allow {
		t.Errorf("of an administrator: %+v", got)
	}
}

// Of the documented types that grant nothing, DENY holds for questions of their
// own, and none for others; of types that nobody knows it holds for all.
func TestKeptTypes(t *testing.T) {
	for _, kind := range []string{"LeastPrivilege", "HttpAccess", "SettingsUpdate", "UpdateSettings", "JobUpdate", "Custom"} {
		own := ask("/usr/bin/id", "id", "id")
		own.Kind = kind
		for _, controls := range []string{"ALLOW", "DENY", "JUSTIFY", ""} {
			set := compileSketches(t, linux(), sketch{id: "k", kind: kind, controls: controls, extra: `, "Extension": {"Anything": {"at": ["all"]}}`}, sketch{id: "a", controls: "ALLOW"})
			if got := set.Decide(ask("/usr/bin/id", "id", "id")); got.Outcome != core.Allow {
				t.Errorf("%s %s: of an elevation %+v", kind, controls, got)
			}
			if got := set.Decide(own); got.Outcome != core.Deny || (len(got.Policies) == 1) != (controls == "DENY") || got.Message == "" {
				t.Errorf("%s %s: of its own %+v", kind, controls, got)
			}
		}
	}
	for _, kind := range []string{"AgenticAI", "AgenticAccess", "AgenticPrivilegeElevation", "Tomorrow"} {
		set := compileSketches(t, linux(), sketch{id: "k", kind: kind, controls: "DENY"}, sketch{id: "a", controls: "ALLOW"})
		if got := set.Decide(ask("/usr/bin/id", "id", "id")); got.Outcome != core.Deny || !cmp.Equal(ids(got.Policies), []string{"k"}) {
			t.Errorf("%s: %+v", kind, got)
		}
		if got := compileSketches(t, linux(), sketch{kind: kind, controls: "ALLOW"}).Decide(ask("/usr/bin/id", "id", "id")); got.Outcome != core.Deny {
			t.Errorf("%s: %+v", kind, got)
		}
	}
}

// Unknown keys of kept policies stay as they are written.
func TestKeptPoliciesAreKeptAsWritten(t *testing.T) {
	text := `{"PolicyId": "s", "PolicyType": "SettingsUpdate", "Extension": {"PluginName": "KeeperPolicy", "SettingsJson": "{\"a\": 1}", "Tomorrow": [1]}, "Later": {}}`
	policies, findings := engine.Parse("s.json", []byte(text))
	if string(policies[0].Written()) != text {
		t.Errorf("%s", policies[0].Written())
	}
	for _, f := range findings {
		if f.Severity != Note {
			t.Error(f)
		}
	}
}
