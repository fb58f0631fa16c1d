package policy

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"kpm/core"
	"kpm/core/span"
)

// Who is behind a request is a filter like the others.
func TestRequestedBy(t *testing.T) {
	people := sketch{extra: `, "Extension": {"RequestedBy": ["terminal", "desktop"]}`}
	for by, want := range map[core.Requester]strength{
		core.ByTerminal: full, core.ByDesktop: full, core.ByAgent: nothing, core.ByService: nothing, core.ByUnknown: restricts, "else": restricts,
	} {
		q := ask("/usr/bin/id", "id", "id")
		q.RequestedBy = by
		if got := meets(t, linux(), people, q); got != want {
			t.Errorf("%q meets it %d, expected %d", by, got, want)
		}
		if got := meets(t, linux(), sketch{}, q); got != full {
			t.Errorf("%q meets a policy for whoever asks %d", by, got)
		}
	}
}

// A filter job that passes leaves the policy as it is; one that does not takes it
// away, a DENY included; one that does not answer takes its grant away and leaves its
// DENY (decision 29).
func TestFilterJobs(t *testing.T) {
	filtered := sketch{extra: `, "Extension": {"CustomFilterJobId": "office"}`}
	q := ask("/usr/bin/id", "id", "id")
	for name, tc := range map[string]struct {
		answers map[string]FilterAnswer
		want    strength
	}{
		"passed":          {map[string]FilterAnswer{"office": FilterPassed}, full},
		"failed":          {map[string]FilterAnswer{"office": FilterFailed}, nothing},
		"unanswered":      {map[string]FilterAnswer{"office": Unanswered}, restricts},
		"not asked":       {nil, restricts},
		"another's":       {map[string]FilterAnswer{"Office": FilterPassed}, restricts},
		"another's, less": {map[string]FilterAnswer{"": FilterPassed}, restricts},
	} {
		q.FilterAnswers = tc.answers
		if got := meets(t, linux(), filtered, q); got != tc.want {
			t.Errorf("%s: it is met %d, expected %d", name, got, tc.want)
		}
	}
}

func TestWhichFilterJobsAreRun(t *testing.T) {
	job := func(id string) string { return `, "Extension": {"CustomFilterJobId": "` + id + `"}` }
	q := ask("/usr/bin/id", "id", "id")
	for name, tc := range map[string]struct {
		policies []sketch
		want     []string
	}{
		"none is named":            {[]sketch{{controls: "ALLOW"}}, nil},
		"each once":                {[]sketch{{controls: "ALLOW", extra: job("b")}, {controls: "JUSTIFY", extra: job("a")}, {controls: "DENY", extra: job("b")}}, []string{"a", "b"}},
		"of another program":       {[]sketch{{controls: "ALLOW", apps: []string{"/usr/bin/env"}, extra: job("a")}}, []string{}},
		"of somebody else":         {[]sketch{{controls: "ALLOW", users: []string{"bob"}, extra: job("a")}}, []string{}},
		"it is denied anyway":      {[]sketch{{controls: "ALLOW", extra: job("a")}, {controls: "DENY"}}, nil},
		"of one that only watches": {[]sketch{{controls: "ALLOW", extra: job("a")}, {controls: "DENY", status: "monitor", extra: job("b")}}, []string{"a"}},
		"of one that is off":       {[]sketch{{controls: "ALLOW", status: "off", extra: job("a")}}, nil},
	} {
		if got := compileSketches(t, linux(), tc.policies...).FilterJobs(q); !slices.Equal(got, tc.want) {
			t.Errorf("%s: got %q, expected %q", name, got, tc.want)
		}
	}
	many := make([]sketch, 2*maxFilterJobs)
	for i := range many {
		many[i] = sketch{controls: "ALLOW", extra: job(string(rune('a' + i)))}
	}
	if got := compileSketches(t, linux(), many...).FilterJobs(q); len(got) != maxFilterJobs {
		t.Errorf("%d jobs would be run: %q", len(got), got)
	}
	q.Administrator = true
	if got := compileSketches(t, linux(), many...).FilterJobs(q); got != nil {
		t.Errorf("for an administrator, whom policy does not concern: %q", got)
	}
}

// What watches runs no filter job: its outcome is that of one that passes, and says
// on which jobs it depends.
func TestMonitoringNamesFilterJobs(t *testing.T) {
	set := compileSketches(t, linux(), sketch{controls: "ALLOW"}, sketch{id: "m", status: "monitor", controls: "DENY", extra: `, "Extension": {"CustomFilterJobId": "office"}`})
	q := ask("/usr/bin/id", "id", "id")
	q.FilterAnswers = map[string]FilterAnswer{"office": FilterFailed} // of somebody else's
	got := set.Watching(q)
	if got.Outcome != core.Deny || !slices.Equal(got.FilterJobs, []string{"office"}) {
		t.Errorf("got %+v", got)
	}
	if d := set.Decide(q); d.Outcome != core.Allow {
		t.Errorf("watching changed the outcome: %+v", d)
	}
}

// What may be remembered is said policy by policy, and only if one of them lets it.
func TestDemands(t *testing.T) {
	grant := `, "Extension": {"Grant": {"For": "30m", "Uses": 2}}`
	terms := &core.GrantTerms{For: span.Span(30 * time.Minute), Uses: 2}
	q := ask("/usr/bin/id", "id", "id")
	for name, tc := range map[string]struct {
		policies []sketch
		want     []core.Demand
	}{
		"none":              {[]sketch{{controls: "JUSTIFY"}}, nil},
		"one":               {[]sketch{{id: "a", controls: "JUSTIFY", extra: grant}}, []core.Demand{{Controls: []core.Control{core.ControlJustify}, Grant: terms}}},
		"beside another":    {[]sketch{{id: "a", controls: "JUSTIFY", extra: grant}, {id: "b", controls: "MFA"}}, []core.Demand{{Controls: []core.Control{core.ControlJustify}, Grant: terms}, {Controls: []core.Control{core.ControlMFA}}}},
		"nothing is asked":  {[]sketch{{id: "a", controls: "ALLOW", extra: grant}}, nil},
		"it is denied":      {[]sketch{{id: "a", controls: "JUSTIFY", extra: grant}, {controls: "DENY"}}, nil},
		"it only restricts": {[]sketch{{id: "a", controls: "JUSTIFY", extra: grant, machines: []string{"web1.corp"}}, {controls: "ALLOW"}}, nil},
		"it is doubtful":    {[]sketch{{id: "a", controls: "JUSTIFY", extra: grant + `, "Colour": "red"`}, {controls: "ALLOW"}}, nil},
	} {
		got := compileSketches(t, linux(), tc.policies...).Decide(q).Demands
		for i := range got {
			if want := []string{"a", "b"}[i]; got[i].ID != want {
				t.Errorf("%s: %d is %s", name, i, got[i].ID)
			}
			got[i].PolicyRef = core.PolicyRef{}
		}
		if diff := cmp.Diff(tc.want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// A DENY holds for children under each mode (W14 of what people ask for; memdocs
// pull request 5145).
func TestChildProcesses(t *testing.T) {
	parent := func(mode string) sketch {
		return sketch{id: "parent", controls: "JUSTIFY", apps: []string{"/usr/bin/make"}, extra: `, "Extension": {"ChildProcesses": "` + mode + `"}`}
	}
	one, two := ask("/usr/bin/make", "make", "make"), ask("/usr/bin/cc", "cc", "cc")
	given := []core.Control{core.ControlJustify}
	cc := []string{"/usr/bin/cc"}
	for _, tc := range []struct {
		name  string
		other sketch // beside the parent's
		want  map[string]core.Outcome
	}{
		{"nothing is said of it", sketch{controls: "ALLOW", apps: []string{"/usr/bin/env"}}, map[string]core.Outcome{"inherit": core.Allow, "own-rule": core.Deny, "deny": core.Deny}},
		{"it is allowed by itself", sketch{controls: "ALLOW", apps: cc}, map[string]core.Outcome{"inherit": core.Allow, "own-rule": core.Allow, "deny": core.Deny}},
		{"it is denied", sketch{controls: "DENY", apps: cc}, map[string]core.Outcome{"inherit": core.Deny, "own-rule": core.Deny, "deny": core.Deny}},
		{"it is denied in doubt", sketch{controls: "DENY", apps: cc, extra: `, "Colour": "red"`}, map[string]core.Outcome{"inherit": core.Deny, "own-rule": core.Deny, "deny": core.Deny}},
		{"what it asks for was satisfied", sketch{controls: "JUSTIFY", apps: cc}, map[string]core.Outcome{"inherit": core.Allow, "own-rule": core.Allow, "deny": core.Deny}},
		{"it asks for more", sketch{controls: "MFA", apps: cc}, map[string]core.Outcome{"inherit": core.Pending, "own-rule": core.Pending, "deny": core.Deny}},
		{"its parent is denied by now", sketch{controls: "DENY", apps: []string{"/usr/bin/make"}}, map[string]core.Outcome{"inherit": core.Deny, "own-rule": core.Deny, "deny": core.Deny}},
	} {
		for mode, want := range tc.want {
			set := compileSketches(t, linux(), parent(mode), tc.other)
			if got := set.DecideChild(one, two, given); got.Outcome != want {
				t.Errorf("%s, %s: got %+v, expected %s", tc.name, mode, got, want)
			}
		}
	}
	strict := compileSketches(t, linux(), parent("inherit"), sketch{id: "strict", controls: "ALLOW", apps: []string{"/usr/bin/make"}, extra: `, "Extension": {"ChildProcesses": "deny"}`})
	if got := strict.DecideChild(one, two, given); got.Outcome != core.Deny || got.Message != childDenied {
		t.Errorf("of two policies the stricter counts: got %+v", got)
	}
	unsaid := compileSketches(t, linux(), sketch{controls: "ALLOW", apps: []string{"/usr/bin/make"}})
	if got := unsaid.DecideChild(one, two, nil); got.Outcome != core.Allow {
		t.Errorf("without a rule children inherit: got %+v", got)
	}
	other := two
	other.User = "1001"
	if got := unsaid.DecideChild(one, other, nil); got.Outcome != core.Deny {
		t.Errorf("a child of somebody else's: got %+v", got)
	}
	if got := compileSketches(t, linux(), sketch{controls: "ALLOW", apps: cc}).DecideChild(one, two, nil); got.Outcome != core.Deny || got.Message != parentGone {
		t.Errorf("whatever the child may: got %+v", got)
	}
}
