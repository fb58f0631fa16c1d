package policy

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"kpm/core"
)

// perSet is how many questions each random set is asked.
const perSet = 30

// disagreement is a file of testdata/disagreements: policies and a question about
// which the engine and the naive evaluator once said different things.
type disagreement struct {
	Why      string
	Policies []string
	Question Question
}

// The engine says what docs/policies.md says: a second evaluator, written from
// that page and sharing nothing, gives equal answers. "make soak" asks a million
// questions.
func TestTheEngineSaysWhatTheDocumentSays(t *testing.T) {
	outcomes := map[core.Outcome]int{}
	rapid.Check(t, func(t *rapid.T) {
		policies := rapid.SliceOfN(rapid.Custom(drawWritten), 2, 8).Draw(t, "policies")
		if rapid.IntRange(0, 2).Draw(t, "one is for everyone") == 0 {
			policies = append(policies, drawWide(t))
		}
		set := compileWritten(t.Fatalf, policies)
		for range perSet {
			q := drawQuestion(t)
			q.Arguments = rapid.SampledFrom([][]string{{"vi"}, {"vi", "/etc/hosts"}, {"vim.basic", "/etc/hosts"}, {"vim.basic", "a", "b"},
				{"vi", "/etc/../x"}, {"vim.basic", "-x", "--file=../x"}, {"./vi", "/srv/..a"}, {"nano"}, {}}).Draw(t, "command line")
			q.Risk = rapid.SampledFrom([]*uint8{nil, nil, risk(10), risk(80)}).Draw(t, "risk")
			q.RequestedBy = rapid.SampledFrom([]core.Requester{"", core.ByTerminal, core.ByTerminal, core.ByDesktop, core.ByService, core.ByAgent}).Draw(t, "behind it")
			q.FilterAnswers = map[string]FilterAnswer{
				"office": rapid.SampledFrom([]FilterAnswer{Unanswered, FilterPassed, FilterFailed}).Draw(t, "office"),
				"ticket": rapid.SampledFrom([]FilterAnswer{FilterPassed, FilterFailed}).Draw(t, "ticket"),
			}
			if rapid.IntRange(0, 20).Draw(t, "administrator") == 0 {
				q.Administrator = true
			}
			outcomes[set.Decide(q).Outcome]++
			if diff := different(set, policies, q); diff != "" {
				text, _ := json.MarshalIndent(disagreement{"", policies, q}, "", " ")
				t.Fatalf("%s\nto keep it: %s", diff, text)
			}
		}
	})
	// Else the two would agree about little.
	for _, outcome := range []core.Outcome{core.Allow, core.Deny, core.Pending} {
		if outcomes[outcome] < 5 {
			t.Errorf("%d of the questions ended in %s: %v", outcomes[outcome], outcome, outcomes)
		}
	}
}

// What they once disagreed about they agree about.
func TestFormerDisagreements(t *testing.T) {
	files, err := filepath.Glob("testdata/disagreements/*.json")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, name := range files {
		data, err := os.ReadFile(name)
		var d disagreement
		if err == nil {
			err = json.Unmarshal(data, &d)
		}
		if err != nil {
			t.Fatal(name, err)
		}
		d.Question.Time = d.Question.Time.In(berlin())
		if diff := different(compileWritten(t.Fatalf, d.Policies), d.Policies, d.Question); diff != "" {
			t.Errorf("%s (%s): %s", name, d.Why, diff)
		}
	}
}

func compileWritten(fatalf func(string, ...any), policies []string) *Set {
	parsed, findings := engine.Parse("w.json", []byte("["+strings.Join(policies, ",")+"]"))
	if Faulty(findings) {
		fatalf("%v", findings)
	}
	set, _ := engine.Compile(parsed, linux())
	return set
}

// different compares outcome, controls and the policies that are named.
func different(set *Set, policies []string, q Question) string {
	env := linux()
	n := naive{links: env.Links, securePath: env.SecurePath, collections: env.Collections, missing: q.MissingGroups}
	got, want := set.Decide(q), n.decide(policies, q)
	if len(got.Policies) == 0 {
		got.Policies = nil
	}
	for i := range got.Policies {
		got.Policies = slices.Clone(got.Policies)
		got.Policies[i].Name = ""
	}
	got.Message = ""
	for i := range got.Demands {
		got.Demands[i].Name = ""
	}
	for i := range got.Approvals {
		got.Approvals[i].Policy.Name = ""
		if auto := got.Approvals[i].Automatic; auto != nil {
			got.Approvals[i].Automatic = &core.AutomaticApproval{Until: auto.Until}
		}
	}
	if diff := cmp.Diff(want, core.Decision{Outcome: got.Outcome, Controls: got.Controls, Policies: got.Policies, Demands: got.Demands, Approvals: got.Approvals, Account: got.Account, Session: got.Session}, cmpopts.EquateEmpty()); diff != "" {
		return diff
	}
	if rule := set.Children(q).String(); got.Outcome != core.Deny && rule != n.children(policies, q) {
		return fmt.Sprintf("children: %s, expected %s", rule, n.children(policies, q))
	}
	return ""
}

// drawWide draws a policy that everybody meets: else few questions end in anything
// but DENY.
func drawWide(t *rapid.T) string {
	p := map[string]any{
		"PolicyId": "everyone", "PolicyType": "PrivilegeElevation", "UserCheck": []string{"*"}, "ApplicationCheck": []string{"*"}, "TargetUserCheck": []string{"*"},
		"Actions": map[string]any{"OnSuccess": map[string]any{"Controls": rapid.SampledFrom([][]string{{"JUSTIFY"}, {"MFA", "JUSTIFY"}, {"ALLOW"}, {"APPROVAL"}}).Draw(t, "of everyone")}},
	}
	extension := map[string]any{}
	if rapid.Bool().Draw(t, "which may be remembered") {
		extension["Grant"] = map[string]any{"For": "20m"}
	}
	if rapid.Bool().Draw(t, "which may be approved automatically") {
		extension["AutomaticApproval"] = rapid.SampledFrom(naiveWindows).Draw(t, "window")
	}
	p["Extension"] = extension
	data, err := json.Marshal(p)
	if err != nil {
		panic(err)
	}
	return string(data)
}

// drawWritten draws a policy as it is written in a file.
func drawWritten(t *rapid.T) string {
	p := map[string]any{
		"PolicyId":   rapid.StringMatching(`[a-z]{6}`).Draw(t, "id"),
		"PolicyType": rapid.SampledFrom([]string{"PrivilegeElevation", "PrivilegeElevation", "CommandLine", "CommandLine", "FileAccess", "HttpAccess", "AgenticAccess"}).Draw(t, "type"),
	}
	list := func(key string, from []string, most int) {
		if rapid.IntRange(0, 9).Draw(t, key+" is there") > 0 {
			p[key] = rapid.SliceOfN(rapid.SampledFrom(from), 0, most).Draw(t, key)
		}
	}
	list("UserCheck", slices.Concat(someUsers, []string{"*", "*", "*", "*", "*", "*"}), 2)
	list("MachineCheck", slices.Concat(someMachines, []string{"*", "web1.corp", "WEB1"}), 2)
	list("ApplicationCheck", slices.Concat(somePrograms, []string{"*", "*", "*", "*", "{etc}/../x*"}), 2)
	if rapid.IntRange(0, 3).Draw(t, "targets are there") == 0 {
		p["TargetUserCheck"] = rapid.SliceOfN(rapid.SampledFrom(someTargets), 0, 2).Draw(t, "targets")
	}
	controls := []any{"ALLOW", "JUSTIFY", "JUSTIFY", "ALLOW", "ALLOW", "ALLOW", "ALLOW", "ALLOW", "DENY", "MFA", "JUSTIFY", "APPROVAL", "NOTIFY", "PERMIT"}
	p["Actions"] = map[string]any{"OnSuccess": map[string]any{"Controls": rapid.SliceOfN(rapid.SampledFrom(controls), 1, 2).Draw(t, "controls")}}
	if s := rapid.SampledFrom([]string{"", "enforce", "enabled", "off", "disabled", "monitor", "monitor_and_notify", "perhaps"}).Draw(t, "status"); s != "" {
		p["Status"] = s
	}
	drawTimes(t, p)
	extension := drawExtension(t)
	if rapid.IntRange(0, 3).Draw(t, "commands are there") == 0 {
		extension["AllowCommands"] = rapid.SliceOfN(rapid.SampledFrom([]string{"vi", "vi /etc/hosts", "/usr/bin/vi *", "vim.basic /etc/*", "vim.basic * b", "vim.basic a* b",
			"vi $x", "/usr/bin/vim.basic a b", "*"}), 0, 3).Draw(t, "commands")
	}
	if len(extension) > 0 {
		p["Extension"] = extension
	}
	switch rapid.IntRange(0, 19).Draw(t, "slip") {
	case 0:
		p["RunAs"] = "root"
	case 1:
		p["UserCheck"] = "alice"
	case 2:
		p["RiskLevel"] = rapid.SampledFrom([]any{50, 0, 100, 101, "50"}).Draw(t, "risk")
	case 3:
		p["Extension"] = map[string]any{"Sudo": true}
	case 4:
		p["ApplicationCheck"] = []any{"/usr/bin/vi", 3}
	}
	data, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func drawTimes(t *rapid.T, p map[string]any) {
	if rapid.IntRange(0, 4).Draw(t, "days are there") == 0 {
		p["DayCheck"] = rapid.SliceOfN(rapid.IntRange(2, 5), 0, 2).Draw(t, "days")
	}
	if rapid.IntRange(0, 4).Draw(t, "dates are there") == 0 {
		day := func(n int) string { return noon.AddDate(0, 0, n).Format(time.DateOnly) }
		from := rapid.IntRange(-2, 2).Draw(t, "from")
		to := from + rapid.IntRange(0, 2).Draw(t, "span")
		p["DateCheck"] = rapid.SampledFrom([]any{
			[]any{}, []any{"*"}, []any{map[string]any{"StartDate": day(from), "EndDate": day(to)}},
			[]any{map[string]any{"StartDate": day(from)}}, []any{map[string]any{"EndDate": day(to)}, map[string]any{"StartDate": day(to + 1), "EndDate": nil}},
		}).Draw(t, "dates")
	}
	if rapid.IntRange(0, 4).Draw(t, "times are there") == 0 {
		p["TimeCheck"] = rapid.SampledFrom([]any{
			[]any{}, []any{"*"}, []any{map[string]any{"StartTime": "9", "EndTime": "18"}}, []any{map[string]any{"StartTime": "22", "EndTime": "6"}},
			[]any{map[string]any{"StartTime": "13"}}, []any{map[string]any{"EndTime": "6"}, map[string]any{"StartTime": "11", "EndTime": "13"}},
		}).Draw(t, "times")
	}
}
