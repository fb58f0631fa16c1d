package policy

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"kpm/core"
)

// machineFacts has everybody and every program.
func machineFacts(now time.Time) Facts {
	return Facts{
		User: func(name string) bool { return name != "nobody-here" }, Group: func(name string) bool { return name != "nobody-here" },
		Program: func(path string) (string, bool, bool) { return path, false, true }, Now: now,
	}
}

// reviewed is what a review says of sketches.
func reviewed(t *testing.T, env Environment, sketches ...sketch) string {
	t.Helper()
	list := make([]string, len(sketches))
	for i, s := range sketches {
		list[i] = s.json()
	}
	policies, _ := engine.Parse("r.json", []byte("["+strings.Join(list, ",\n")+"]"))
	return strings.Join(lines(engine.Review(policies, env, machineFacts(noon))), "\n")
}

func TestReviewComparesPolicies(t *testing.T) {
	id := []string{"/usr/bin/id"}
	env := linux()
	env.Collections["uid-of-nobody"] = Collection{Type: OfUsers}
	enforcing := linux()
	enforcing.EnforceForAdministrators = true
	const shadow, contradiction, out = "a shadowed grant", "a contradiction", "a DENY of every command for everyone"
	for _, tc := range []struct {
		name     string
		env      Environment
		policies []sketch
		says     string // empty: nothing of the kind
	}{
		{"the same denied", env, []sketch{{id: "g", controls: "ALLOW", apps: id}, {id: "d", controls: "DENY", apps: id}}, "grants nothing: r.json:1: policy \"g\", $.PolicyId: found " + contradiction},
		{"more denied", env, []sketch{{id: "g", controls: "ALLOW", apps: id, users: []string{"alice"}}, {id: "d", controls: "DENY", apps: []string{"/usr/*"}}}, shadow},
		{"by name", env, []sketch{{id: "g", controls: "JUSTIFY", apps: id}, {id: "d", controls: "DENY", apps: []string{"id"}}}, shadow},
		{"by what cannot be resolved", env, []sketch{{id: "g", controls: "ALLOW", apps: id}, {id: "d", controls: "DENY", apps: []string{"{nosuch}"}}}, shadow},
		{"a DENY that monitors", env, []sketch{{id: "g", controls: "ALLOW", apps: id}, {id: "d", controls: "DENY", apps: id, status: "monitor"}}, ""},
		{"other users", env, []sketch{{id: "g", controls: "ALLOW", apps: id}, {id: "d", controls: "DENY", apps: id, users: []string{"bob"}}}, ""},
		{"other machines", env, []sketch{{id: "g", controls: "ALLOW", apps: id}, {id: "d", controls: "DENY", apps: id, machines: []string{"db1"}}}, ""},
		{"another target", env, []sketch{{id: "g", controls: "ALLOW", apps: id}, {id: "d", controls: "DENY", apps: id, extra: `, "TargetUserCheck": ["bob"]`}}, ""},
		{"at other times", env, []sketch{{id: "g", controls: "ALLOW", apps: id}, {id: "d", controls: "DENY", apps: id, extra: `, "DayCheck": [0]`}}, ""},
		{"other signers", env, []sketch{{id: "g", controls: "ALLOW", apps: id}, {id: "d", controls: "DENY", apps: id, extra: `, "CertificationCheck": ["team:ABCDE12345"]`}}, ""},
		{"another program", env, []sketch{{id: "g", controls: "ALLOW", apps: id}, {id: "d", controls: "DENY", apps: []string{"/usr/bin/vi"}}}, ""},

		{"dates that are over", env, []sketch{{id: "g", controls: "ALLOW", apps: id, extra: `, "DateCheck": [{"StartDate": "2025-01-01", "EndDate": "2025-01-31"}]`}}, "grants nothing: r.json:2: policy \"g\", $.DateCheck: found dates that are over"},
		{"dates to come", env, []sketch{{id: "g", controls: "ALLOW", apps: id, extra: `, "DateCheck": [{"StartDate": "2027-01-01"}]`}}, ""},
		{"today", env, []sketch{{id: "g", controls: "ALLOW", apps: id, extra: `, "DateCheck": [{"EndDate": "2026-11-18"}]`}}, ""},
		{"days outside the dates", env, []sketch{{id: "g", controls: "ALLOW", apps: id, extra: `, "DateCheck": [{"StartDate": "2026-12-01", "EndDate": "2026-12-02"}], "DayCheck": [0]`}}, "none of these days lies in DateCheck"},
		{"an empty collection", env, []sketch{{id: "g", controls: "ALLOW", apps: id, users: []string{"uid-of-nobody"}}}, "an empty collection"},

		{"everyone locked out", env, []sketch{{id: "d", controls: "DENY"}}, out},
		{"root too", enforcing, []sketch{{id: "d", controls: "DENY"}}, "nobody at all can run anything then"},
		{"at night", env, []sketch{{id: "d", controls: "DENY", extra: `, "TimeCheck": [{"StartTime": "22", "EndTime": "6"}]`}}, out + ", at times"},
		{"by a filter that cannot be resolved", env, []sketch{{id: "d", controls: "DENY", users: []string{"%"}, apps: []string{"{nosuch}"}}}, out},
		{"one program", env, []sketch{{id: "d", controls: "DENY", apps: id}}, ""},
		{"one user", env, []sketch{{id: "d", controls: "DENY", users: []string{"bob"}}}, ""},
		{"everyone everything", env, []sketch{{id: "g", controls: "ALLOW"}}, "a grant of every program to everyone, without asking"},

		{"a pager with fixed arguments", env, []sketch{{id: "g", kind: "CommandLine", controls: "ALLOW", apps: []string{"/usr/bin/less"}, extra: `, "Extension": {"AllowCommands": ["less /var/log/syslog"]}`}}, `it opens a shell from within, whatever its arguments`},
		{"find with -exec", env, []sketch{{id: "g", kind: "CommandLine", controls: "ALLOW", apps: []string{"/usr/bin/find"}, extra: `, "Extension": {"AllowCommands": ["find /srv -name x -exec chmod 644 {path}"]}`}}, "a command without -exec"},
		{"a hook of apt", env, []sketch{{id: "g", kind: "CommandLine", controls: "ALLOW", apps: []string{"/usr/bin/apt-get"}, extra: `, "Extension": {"AllowCommands": ["apt-get -o Dpkg::Pre-Invoke=* update"]}`}}, "a command without -o"},
		{"find without", env, []sketch{{id: "g", kind: "CommandLine", controls: "ALLOW", apps: []string{"/usr/bin/find"}, extra: `, "Extension": {"AllowCommands": ["find /srv -newer x"]}`}}, ""},
	} {
		got := reviewed(t, tc.env, tc.policies...)
		if tc.says == "" {
			for _, word := range []string{shadow, contradiction, out, "are over", "lies in", "empty collection", "by that option"} {
				if strings.Contains(got, word) {
					t.Errorf("%s: %s", tc.name, got)
				}
			}
		} else if !strings.Contains(got, tc.says) {
			t.Errorf("%s: got\n%s\nwant %s", tc.name, got, tc.says)
		}
	}
}

// Paths by which a grant means more than it looks like.
func TestReviewOfPaths(t *testing.T) {
	const users, folders = "in a folder that users can write to", `a "*" before the end of a path`
	for entry, says := range map[string]string{
		"/home/*": users, "/home/alice/bin/tool": users, "/tmp/x*": users, "/var/tmp/setup": users, "/opt/*/bin/x": folders, "/opt/a*/b/*": folders,
		"/opt/tools/*": "", "/usr/bin/id": "", "/homes/x": "", "/opt/tool-*": "", "*/x": "",
	} {
		got := reviewed(t, linux(), sketch{id: "p", controls: "ALLOW", users: []string{"alice"}, apps: []string{entry}})
		if says == "" && (strings.Contains(got, users) || strings.Contains(got, folders)) || !strings.Contains(got, says) {
			t.Errorf("%s: %s", entry, got)
		}
		if denied := reviewed(t, linux(), sketch{id: "p", controls: "DENY", users: []string{"alice"}, apps: []string{entry}}); strings.Contains(denied, users) || strings.Contains(denied, folders) {
			t.Errorf("a DENY of %s: %s", entry, denied)
		}
	}
}

// Folders and people are not commands, whatever they are called.
func TestReviewKnowsWhatListsAreOf(t *testing.T) {
	for name, tc := range map[string]struct {
		sketch
		says string
	}{
		"folders":               {sketch{kind: "FileAccess", controls: "DENY", users: []string{"alice"}, apps: []string{"*.txt"}, extra: `, "Extension": {"Folders": ["/srv/pay"]}`}, ""},
		"people":                {sketch{kind: "LeastPrivilege", extra: `, "Extension": {"Exclusions": ["alice"]}`}, ""},
		"people who are not":    {sketch{kind: "LeastPrivilege", extra: `, "Extension": {"Exclusions": ["nobody-here"]}`}, "$.Extension.Exclusions[0]"},
		"commands out of reach": {sketch{kind: "CommandLine", controls: "ALLOW", users: []string{"alice"}, apps: []string{"/usr/bin/id"}, extra: `, "Extension": {"AllowCommands": ["/usr/bin/env"]}`}, "leaves out"},
	} {
		tc.sketch.id = "p"
		if got := reviewed(t, linux(), tc.sketch); strings.Contains(got, "AllowCommands") != (tc.says == "leaves out") || !strings.Contains(got, tc.says) {
			t.Errorf("%s: %s", name, got)
		}
	}
}

// A grant that is called shadowed is denied whenever it is met.
func TestWhatIsShadowedNeverGrants(t *testing.T) {
	covered := 0
	rapid.Check(t, func(t *rapid.T) {
		policies := drawPolicies(t, 8)
		if len(policies) > 0 { // what denies as much as another one grants is seldom drawn by chance
			twin := policies[rapid.IntRange(0, len(policies)-1).Draw(t, "denied")]
			twin.ID, twin.Controls = twin.ID+"-denied", []core.Control{core.ControlDeny}
			policies = append(policies, twin)
		}
		for i := range policies {
			policies[i].Status = Enforce
		}
		c := &compiler{env: new(Environment), table: engine.controls}
		*c.env = linux()
		var rules []rule
		for i := range policies {
			rules = append(rules, *c.rule(&policies[i], i, elevation{}))
		}
		set, _ := engine.Compile(policies, linux())
		for range 20 {
			q := drawQuestion(t)
			e := set.Explain(q, policies)
			for i := range rules {
				for j := range rules {
					if rules[i].grants && rules[j].denies && rules[j].covers(&rules[i]) {
						covered++
						if e.Policies[i].Result == Met && e.Decision.Outcome != core.Deny {
							t.Fatalf("policy %d is covered by %d, and: %+v", i, j, e)
						}
						if e.Policies[i].Result == Met && e.Policies[j].Result == NotMet {
							t.Fatalf("policy %d is met, and %d, which covers it, is not: %+v\n%+v", i, j, policies, q)
						}
					}
				}
			}
		}
	})
	if covered < 5 {
		t.Errorf("%d times something was covered", covered)
	}
}
