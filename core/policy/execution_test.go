package policy

import (
	"testing"

	"kpm/core"
)

// What no policy of type FileAccess restricts may be executed; policies about
// elevation that name the same program come first.
func TestExecutions(t *testing.T) {
	nmap := []string{"/usr/bin/nmap"}
	files := func(controls string, apps []string, extra string) sketch {
		return sketch{id: "files", kind: TypeFileAccess, controls: controls, apps: apps, extra: extra}
	}
	for _, tc := range []struct {
		name       string
		policies   []sketch
		want       core.Outcome
		restricted bool // the file is, for somebody
	}{
		{name: "no policy at all", want: core.Allow},
		{name: "another program is denied", policies: []sketch{files("DENY", []string{"/usr/bin/nc"}, "")}, want: core.Allow},
		{name: "denied", policies: []sketch{files("DENY", nmap, "")}, want: core.Deny, restricted: true},
		{name: "denied by name", policies: []sketch{files("DENY", []string{"nmap"}, "")}, want: core.Deny, restricted: true},
		{name: "denied for others", policies: []sketch{{id: "files", kind: TypeFileAccess, controls: "DENY", apps: nmap, users: []string{"bob"}}}, want: core.Allow, restricted: true},
		{name: "denied in doubt", policies: []sketch{files("DENY", nmap, `, "Colour": "red"`)}, want: core.Deny, restricted: true},
		{name: "monitored", policies: []sketch{{id: "files", kind: TypeFileAccess, status: "monitor", controls: "DENY", apps: nmap}}, want: core.Allow},
		{name: "a policy of an unknown type", policies: []sketch{{id: "files", kind: "Sideways", controls: "DENY", apps: nmap}}, want: core.Allow},
		{name: "allowed", policies: []sketch{files("ALLOW", nmap, "")}, want: core.Allow},
		{name: "with a control", policies: []sketch{files("APPROVAL", nmap, "")}, want: core.Pending, restricted: true},
		{name: "an elevation of it is allowed", policies: []sketch{files("DENY", nmap, ""), {id: "up", controls: "ALLOW", apps: nmap}}, want: core.Allow, restricted: true},
		{name: "an elevation of it is denied", policies: []sketch{files("DENY", nmap, ""), {id: "up", controls: "DENY", apps: nmap}}, want: core.Allow, restricted: true},
		{name: "an elevation of it by others", policies: []sketch{files("DENY", nmap, ""), {id: "up", controls: "ALLOW", apps: nmap, users: []string{"bob"}}}, want: core.Deny, restricted: true},
		{name: "an elevation of everything", policies: []sketch{files("DENY", nmap, ""), {id: "up", kind: TypeCommandLine, controls: "ALLOW", apps: []string{"*"}}}, want: core.Deny, restricted: true},
	} {
		for i := range tc.policies {
			if tc.policies[i].status == "" {
				tc.policies[i].status = "enforce"
			}
		}
		set := compileSketches(t, linux(), tc.policies...)
		q := ask("/usr/bin/nmap", "/usr/bin/nmap", "nmap")
		if got := set.DecideExecution(q); got.Outcome != tc.want {
			t.Errorf("%s: got %+v, expected %s", tc.name, got, tc.want)
		}
		if got := set.RestrictsExecution(q); got != tc.restricted {
			t.Errorf("%s: the file is restricted: %v", tc.name, got)
		}
	}
	set := compileSketches(t, linux(), files("DENY", nmap, ""))
	if q := ask("usr/bin/nmap", "", "nmap"); set.DecideExecution(q).Outcome != core.Deny || !set.RestrictsExecution(q) {
		t.Error("what is no absolute path is not refused")
	}
	if none := compileSketches(t, linux(), sketch{controls: "DENY", apps: nmap}); none.RestrictsExecutions() || !set.RestrictsExecutions() {
		t.Error("whether anything is restricted is not told")
	}
}

// Who allows a command learns with the answer what it may start.
func TestChildRuleOfACommand(t *testing.T) {
	rule := func(id, mode string, apps ...string) sketch {
		return sketch{id: id, status: "enforce", controls: "ALLOW", apps: apps, extra: `, "Extension": {"ChildProcesses": "` + mode + `"}`}
	}
	set := compileSketches(t, linux(), rule("a", "own-rule", "/usr/bin/make"), rule("b", "deny", "/usr/bin/make", "/usr/bin/cc"), rule("c", "inherit", "/usr/bin/vi"))
	for path, want := range map[string]ChildRule{"/usr/bin/make": ChildrenDenied, "/usr/bin/vi": ChildrenInherit, "/usr/bin/other": ChildrenInherit} {
		if got := set.Children(ask(path, path, path)); got != want {
			t.Errorf("%s: got %s, expected %s", path, got, want)
		}
	}
	if !set.RulesChildren() || compileSketches(t, linux(), rule("c", "inherit", "/usr/bin/vi")).RulesChildren() {
		t.Error("whether there is any rule is not told")
	}
}
