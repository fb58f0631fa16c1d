package policy

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"kpm/core"
)

func TestOutcomes(t *testing.T) {
	for _, tc := range []struct {
		name     string
		policies []sketch
		want     core.Outcome
		controls []core.Control
		by       []string
	}{
		{name: "no policy", want: core.Deny},
		{name: "allow", policies: []sketch{{controls: "ALLOW"}}, want: core.Allow, by: []string{"p0"}},
		{name: "deny", policies: []sketch{{controls: "DENY"}}, want: core.Deny, by: []string{"p0"}},
		{name: "deny wins over allow", policies: []sketch{{controls: "ALLOW"}, {controls: "DENY"}}, want: core.Deny, by: []string{"p1"}},
		{name: "deny wins within one policy", policies: []sketch{{controls: "ALLOW DENY"}}, want: core.Deny, by: []string{"p0"}},
		{name: "deny wins over controls", policies: []sketch{{controls: "MFA"}, {controls: "DENY"}}, want: core.Deny, by: []string{"p1"}},
		{name: "one control", policies: []sketch{{controls: "JUSTIFY"}}, want: core.Pending,
			controls: []core.Control{core.ControlJustify}, by: []string{"p0"}},
		{name: "controls add up", policies: []sketch{{controls: "MFA"}, {controls: "APPROVAL ALLOW"}, {controls: "MFA JUSTIFY"}}, want: core.Pending,
			controls: []core.Control{core.ControlApproval, core.ControlJustify, core.ControlMFA}, by: []string{"p0", "p1", "p2"}},
		{name: "an allow does not lift a control", policies: []sketch{{controls: "JUSTIFY"}, {controls: "ALLOW"}}, want: core.Pending,
			controls: []core.Control{core.ControlJustify}, by: []string{"p0"}},
		{name: "notify, audit and record never grant", policies: []sketch{{controls: "NOTIFY AUDIT RECORD"}}, want: core.Deny},
		{name: "off", policies: []sketch{{controls: "DENY", status: "off"}, {controls: "ALLOW"}}, want: core.Allow, by: []string{"p1"}},
		{name: "monitor does not deny", policies: []sketch{{controls: "DENY", status: "monitor"}, {controls: "ALLOW"}}, want: core.Allow, by: []string{"p1"}},
		{name: "monitor does not allow", policies: []sketch{{controls: "ALLOW", status: "monitor_and_notify"}}, want: core.Deny},
		{name: "both types together", policies: []sketch{{controls: "ALLOW"}, {controls: "JUSTIFY", kind: TypeCommandLine}}, want: core.Pending,
			controls: []core.Control{core.ControlJustify}, by: []string{"p1"}},
		{name: "a command line policy grants alone", policies: []sketch{{controls: "ALLOW", kind: TypeCommandLine, apps: []string{}}}, want: core.Allow, by: []string{"p0"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := compileSketches(t, linux(), tc.policies...).Decide(ask("/usr/bin/id", "id", "id"))
			if got.Outcome != tc.want || !cmp.Equal(got.Controls, tc.controls) || !cmp.Equal(ids(got.Policies), tc.by) {
				t.Errorf("got %+v", got)
			}
		})
	}
}

func ids(refs []core.PolicyRef) []string {
	var list []string
	for _, ref := range refs {
		list = append(list, ref.ID)
	}
	return list
}

func TestAdministrators(t *testing.T) {
	q := ask("/usr/bin/id", "id", "id")
	q.Administrator = true
	deny := sketch{controls: "DENY"}
	if got := compileSketches(t, linux(), deny).Decide(q); got.Outcome != core.Allow || !strings.Contains(got.Message, "policy.enforceForAdministrators") {
		t.Errorf("not enforced: got %+v", got)
	}
	env := linux()
	env.EnforceForAdministrators = true
	if got := compileSketches(t, env, deny).Decide(q); got.Outcome != core.Deny {
		t.Errorf("enforced: got %+v", got)
	}
	if got := compileSketches(t, env).Decide(q); got.Outcome != core.Deny {
		t.Errorf("enforced, no policy: got %+v", got)
	}
}

func TestQuestionsThatCannotBeDecided(t *testing.T) {
	env := linux()
	for name, spoil := range map[string]func(*Question){
		"no user id":            func(q *Question) { q.User = "" },
		"no user name":          func(q *Question) { q.UserName = "" },
		"no path":               func(q *Question) { q.Path = "" },
		"relative path":         func(q *Question) { q.Path = "usr/bin/id" },
		"path with dots":        func(q *Question) { q.Path = "/usr/lib/../bin/id" },
		"path with a zero byte": func(q *Question) { q.Path = "/usr/bin/id\x00" },
		"another event":         func(q *Question) { q.Kind = "FileAccess" },
		"an administrator's":    func(q *Question) { q.Administrator, q.Path = true, "" },
	} {
		q := ask("/usr/bin/id", "id", "id")
		spoil(&q)
		if got := compileSketches(t, env, sketch{controls: "ALLOW"}).Decide(q); got.Outcome != core.Deny || got.Message == "" {
			t.Errorf("%s: got %+v", name, got)
		}
	}
	env.SecurePath = strings.Split("/1 /2 /3 /4 /5 /6 /7 /8 /9", " ")
	if got := compileSketches(t, env, sketch{controls: "ALLOW"}).Decide(ask("/1/id", "id", "id")); got.Outcome != core.Deny {
		t.Errorf("a secure path that does not fit: got %+v", got)
	}
}

// A refusal names who refused and what to do, not why others did not match.
func TestRefusals(t *testing.T) {
	secret := sketch{id: "secret", controls: "ALLOW", users: []string{"bob"}, apps: []string{"/usr/bin/id"}}
	for _, tc := range []struct {
		name     string
		policies []sketch
		want     string
	}{
		{"nobody allows", []sketch{secret}, notCovered},
		{"one refuses", []sketch{secret, {id: "a", controls: "DENY"}},
			`Policy "Name of a" refuses this command. If you need it, ask the person who manages this machine's policies to change it.`},
		{"many refuse", []sketch{{id: "d", controls: "DENY"}, {id: "c", controls: "DENY"}, {id: "b", controls: "DENY"}, {id: "a", controls: "DENY"}},
			`Policies "Name of a", "Name of b", "Name of c" and 1 more refuse this command. If you need it, ask the person who manages this machine's policies to change them.`},
	} {
		if got := compileSketches(t, linux(), tc.policies...).Decide(ask("/usr/bin/id", "id", "id")).Message; got != tc.want {
			t.Errorf("%s: got %q, want %q", tc.name, got, tc.want)
		}
	}
}

// Attack: a policy's name that moves the cursor of whoever is refused.
func TestNamesInAnswersArePrintable(t *testing.T) {
	text := strings.NewReplacer("Name of p", `\u001b[2JName`, `"p"`, `"p\u202e"`).Replace(sketch{id: "p", controls: "DENY"}.json())
	policies, findings := engine.Parse("p.json", []byte(text))
	if Faulty(findings) {
		t.Fatal(findings)
	}
	set, _ := engine.Compile(policies, linux())
	got := set.Decide(ask("/usr/bin/id", "id", "id"))
	want := []core.PolicyRef{{ID: "p\ufffd", Name: "\ufffd[2JName"}}
	if !cmp.Equal(got.Policies, want) || strings.ContainsAny(got.Message, "\x1b\u202e") {
		t.Errorf("got %+v", got)
	}
}

func TestWatching(t *testing.T) {
	set := compileSketches(t, linux(), sketch{id: "m", controls: "DENY", status: "monitor"},
		sketch{id: "n", controls: "ALLOW", status: "monitor_and_notify", users: []string{"bob"}}, sketch{id: "e", controls: "ALLOW"})
	if got := ids(set.Watching(ask("/usr/bin/id", "id", "id")).Policies); !cmp.Equal(got, []string{"m"}) {
		t.Errorf("got %v", got)
	}
	if enforcing, monitoring := set.Size(); enforcing != 1 || monitoring != 2 {
		t.Errorf("got %d and %d", enforcing, monitoring)
	}
}

func TestCompileSays(t *testing.T) {
	policies, _ := engine.Parse("c.json", []byte("["+strings.Join([]string{
		sketch{id: "a", controls: "ALLOW", users: []string{"%nosuch"}}.json(),
		sketch{id: "a", controls: "ALLOW", apps: []string{"*/bash"}}.json(),
	}, ",")+"]"))
	_, findings := engine.Compile(policies, linux())
	var got []string
	for _, f := range findings {
		got = append(got, f.Severity.String()+": "+f.Error())
	}
	want := []string{
		`note: c.json:2: policy "a", $.UserCheck[0]: found "%nosuch", expected a group of this machine; as long as there is none, the policy restricts everyone and grants nobody`,
		`note: c.json:2: policy "a", $.PolicyId: found an id that another policy has, expected an id of its own; both apply, and answers do not tell them apart`,
		`note: c.json:3: policy "a", $.ApplicationCheck: found a pattern that begins with "*", expected a folder that only administrators can write to; users can put a program of that name into a folder of their own, and it will be granted`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestDecideMakesNoGarbage(t *testing.T) {
	set, _ := engine.Compile(fleet(1000), linux())
	for _, q := range []Question{
		ask("/usr/bin/systemctl", "/usr/bin/systemctl", "systemctl", "restart", "nginx"),
		ask("/usr/bin/systemctl", "systemctl", "systemctl", "restart", "nginx"),
		ask("/usr/bin/passwd", "passwd", "passwd"),
	} {
		if got := testing.AllocsPerRun(100, func() { set.Decide(q) }); got > 0 {
			t.Errorf("%s: %v allocations", q.Requested, got)
		}
	}
}

// An answer about one policy shares what the policy is called, and one about several does
// not write into it.
func TestAnswersAreNotWrittenInto(t *testing.T) {
	policies, _ := engine.Parse("a.json", []byte("["+strings.Join([]string{
		sketch{id: "a", controls: "ALLOW"}.json(),
		sketch{id: "b", controls: "ALLOW", apps: []string{"/usr/bin/id"}}.json(),
		sketch{id: "c", controls: "ALLOW"}.json(),
	}, ",")+"]"))
	set, _ := engine.Compile(policies, linux())
	ids := func(path string) (list []string) {
		for _, ref := range set.Decide(ask(path, path, path)).Policies {
			list = append(list, ref.ID)
		}
		return list
	}
	for range 2 {
		if diff := cmp.Diff([]string{"a", "b", "c"}, ids("/usr/bin/id")); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff([]string{"a", "c"}, ids("/usr/bin/w")); diff != "" {
			t.Error(diff)
		}
	}
}
