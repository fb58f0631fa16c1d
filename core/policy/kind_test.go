package policy

import (
	"fmt"
	"path"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"kpm/core"
	"kpm/core/controls"
	"kpm/core/fault"
)

// folderAccess is a kind of policy that this release does not have: whether a
// program may write into a folder. It is all that a new kind takes, apart from a
// row.
type folderAccess struct{}

func (folderAccess) extension() []string         { return []string{"Folders"} }
func (folderAccess) everyProgram(p *Policy) bool { return false }

func (folderAccess) read(r *reader, p *Policy, extension fields) {
	if v, given := extension.filled("Folders"); given {
		list, _ := r.texts(v, "$.Extension.Folders")
		p.Own = list
		return
	}
	r.doubt(nowhere, "$.Extension.Folders", "none", "folders", "")
}

func (folderAccess) compile(c *compiler, p *Policy) filter {
	entries, _ := p.Own.([]string)
	var own folders
	for i, entry := range entries {
		c.at("$.Extension.Folders", i)
		folder, unknown := c.env.expand(entry)
		if unknown != "" || !path.IsAbs(folder) {
			c.doubt(fault.Text(entry), "an absolute folder", "")
			own.open = true
			continue
		}
		own.list = append(own.list, c.env.follow(folder))
	}
	return &own
}

func (folderAccess) own(question any) (any, bool) {
	folder, ok := question.(string)
	return folder, ok
}

type folders struct {
	list []string
	open bool
}

func (f *folders) match(a asked) strength {
	for _, folder := range f.list {
		if folder == a.own {
			return full
		}
	}
	if f.open {
		return restricts
	}
	return nothing
}

// withFolders is the table with one more row.
func withFolders() *Engine {
	var kinds []Kind
	for _, kind := range Kinds() {
		if kind.types[0] != "FileAccess" {
			kinds = append(kinds, kind)
		}
	}
	return New(append(kinds, Kind{types: []string{"FileAccess"}, answer: folderAccess{}}), controls.Standard())
}

// writing is alice's editor asking whether it may write into a folder.
func writing(folder string) Question {
	q := ask("/usr/bin/nano", "nano", "nano")
	q.Kind, q.Own = "FileAccess", folder
	return q
}

func access(controls, folders, extra string) sketch {
	return sketch{kind: "FileAccess", controls: controls, extra: `, "Extension": {"Folders": [` + folders + `]}` + extra}
}

func TestANewKindIsAFileAndARow(t *testing.T) {
	engine := withFolders()
	for _, tc := range []struct {
		name     string
		policies []sketch
		folder   string
		want     core.Outcome
	}{
		{"nothing written", nil, "/etc", core.Deny},
		{"its own field is met", []sketch{access("ALLOW", `"/etc"`, "")}, "/etc", core.Allow},
		{"its own field is not met", []sketch{access("ALLOW", `"/etc"`, "")}, "/srv", core.Deny},
		{"a variable", []sketch{access("ALLOW", `"{etc}"`, "")}, "/etc", core.Allow},
		{"DENY wins", []sketch{access("ALLOW", `"/etc"`, ""), access("DENY", `"/etc"`, "")}, "/etc", core.Deny},
		{"a control", []sketch{access("ALLOW", `"/etc"`, ""), access("JUSTIFY", `"/etc"`, "")}, "/etc", core.Pending},
		{"a field that cannot be read grants nothing", []sketch{access("ALLOW", `"/etc", "{nosuch}"`, "")}, "/etc", core.Deny},
		{"and still denies", []sketch{access("ALLOW", `"/etc"`, ""), access("DENY", `"{nosuch}"`, "")}, "/etc", core.Deny},
		{"a missing field grants nothing", []sketch{{kind: "FileAccess", controls: "ALLOW", extra: `, "Extension": {}`}}, "/etc", core.Deny},
		{"monitoring changes nothing", []sketch{{kind: "FileAccess", controls: "ALLOW", status: "monitor", extra: `, "Extension": {"Folders": ["/etc"]}`}}, "/etc", core.Deny},
		// What all kinds share.
		{"another user", []sketch{{kind: "FileAccess", controls: "ALLOW", users: []string{"bob"}, extra: `, "Extension": {"Folders": ["/etc"]}`}}, "/etc", core.Deny},
		{"another machine", []sketch{{kind: "FileAccess", controls: "ALLOW", machines: []string{"db1"}, extra: `, "Extension": {"Folders": ["/etc"]}`}}, "/etc", core.Deny},
		{"another program", []sketch{{kind: "FileAccess", controls: "ALLOW", apps: []string{"/usr/bin/vi"}, extra: `, "Extension": {"Folders": ["/etc"]}`}}, "/etc", core.Deny},
		{"this program", []sketch{{kind: "FileAccess", controls: "ALLOW", apps: []string{"nano"}, extra: `, "Extension": {"Folders": ["/etc"]}`}}, "/etc", core.Allow},
		{"another day", []sketch{access("ALLOW", `"/etc"`, `, "DayCheck": [0]`)}, "/etc", core.Deny},
		{"another time", []sketch{access("ALLOW", `"/etc"`, `, "TimeCheck": [{"StartTime": 18, "EndTime": 6}]`)}, "/etc", core.Deny},
		{"another date", []sketch{access("ALLOW", `"/etc"`, `, "DateCheck": [{"StartDate": "2001-01-01", "EndDate": "2001-12-31"}]`)}, "/etc", core.Deny},
		{"no signer", []sketch{access("ALLOW", `"/etc"`, `, "CertificationCheck": ["*"]`)}, "/etc", core.Deny},
		{"a key one slip away", []sketch{access("ALLOW", `"/etc"`, `, "DayChek": []`)}, "/etc", core.Deny},
		// Elevations are another kind.
		{"an elevation policy grants no access", []sketch{{controls: "ALLOW"}, {controls: "ALLOW", kind: TypeCommandLine, apps: []string{}}}, "/etc", core.Deny},
		{"an elevation policy denies no access", []sketch{{controls: "DENY"}, access("ALLOW", `"/etc"`, "")}, "/etc", core.Allow},
	} {
		t.Run(tc.name, func(t *testing.T) {
			set, _ := compileWith(t, engine, tc.policies...)
			if got := set.Decide(writing(tc.folder)); got.Outcome != tc.want {
				t.Errorf("got %+v", got)
			}
		})
	}
}

func compileWith(t *testing.T, engine *Engine, sketches ...sketch) (*Set, []Finding) {
	t.Helper()
	list := make([]string, len(sketches))
	for i, s := range sketches {
		s.id = fmt.Sprintf("p%d", i)
		list[i] = s.json()
	}
	policies, findings := engine.Parse("kinds.json", []byte("["+strings.Join(list, ",\n")+"]"))
	if Faulty(findings) {
		t.Fatal(findings)
	}
	set, more := engine.Compile(policies, linux())
	return set, append(findings, more...)
}

func TestAnotherKindDoesNotTouchElevations(t *testing.T) {
	engine := withFolders()
	id := ask("/usr/bin/id", "id", "id")
	set, _ := compileWith(t, engine, access("DENY", `"/etc"`, ""), sketch{controls: "ALLOW"})
	if got := set.Decide(id); got.Outcome != core.Allow {
		t.Errorf("a DENY of another kind: %+v", got)
	}
	set, _ = compileWith(t, engine, access("ALLOW", `"/etc"`, ""))
	if got := set.Decide(id); got.Outcome != core.Deny {
		t.Errorf("an ALLOW of another kind: %+v", got)
	}
	set, _ = compileWith(t, engine, sketch{kind: "FileAccess", controls: "DENY", status: "monitor", extra: `, "Extension": {"Folders": ["/etc"]}`},
		sketch{controls: "DENY", status: "monitor"}, sketch{controls: "ALLOW"})
	if got := ids(set.Watching(id).Policies); !cmp.Equal(got, []string{"p1"}) {
		t.Errorf("watching an elevation: %v", got)
	}
	if got := ids(set.Watching(writing("/etc")).Policies); !cmp.Equal(got, []string{"p0"}) {
		t.Errorf("watching an access: %v", got)
	}
	if enforcing, monitoring := set.Size(); enforcing != 1 || monitoring != 2 {
		t.Errorf("%d enforcing, %d monitoring", enforcing, monitoring)
	}
}

func TestPoliciesOfOtherKindsNeverChangeAnElevation(t *testing.T) {
	engine := withFolders()
	rapid.Check(t, func(t *rapid.T) {
		elevations, q := drawPolicies(t, 6), drawQuestion(t)
		mixed := drawPolicies(t, 6)
		for i := range mixed {
			mixed[i].Type = rapid.SampledFrom([]string{"FileAccess", "HttpAccess", "Custom"}).Draw(t, "type")
			mixed[i].Own = []string{"/etc"}
		}
		without, _ := engine.Compile(elevations, linux())
		with, _ := engine.Compile(append(mixed, elevations...), linux())
		if diff := cmp.Diff(without.Decide(q), with.Decide(q)); diff != "" {
			t.Fatal(diff)
		}
	})
}

// A policy of one kind with the fields of another is narrower, never wider.
func TestForeignFieldsGrantNothing(t *testing.T) {
	set, _ := engine.Compile([]Policy{{
		ID: "p", Type: TypeCommandLine, Status: Enforce, Controls: []core.Control{core.ControlAllow}, Users: []string{"*"}, Own: map[string]int{},
	}}, linux())
	if got := set.Decide(ask("/usr/bin/id", "id", "id")); got.Outcome != core.Deny {
		t.Errorf("got %+v", got)
	}
}

// What a kind says about its own fields looks like everything else.
func TestFindingsOfANewKind(t *testing.T) {
	_, findings := compileWith(t, withFolders(), access("ALLOW", `"/etc", "etc"`, ""),
		sketch{kind: "FileAccess", controls: "ALLOW", extra: `, "Extension": {"Folders": ["/etc"], "AllowCommands": ["id"]}`},
		sketch{kind: "FileAccess", controls: "ALLOW", apps: []string{}, extra: `, "Extension": {"Folders": ["/etc"]}`},
		sketch{kind: "HttpAccess", controls: "ALLOW"})
	var got []string
	for _, f := range findings {
		got = append(got, f.Severity.String()+": "+f.Error())
	}
	want := []string{
		`grants nothing: kinds.json:4: policy "p1", $.Extension.AllowCommands: found a key of unknown effect, expected Folders, CustomFilterJobId, RequestedBy, Grant, ChildProcesses, AutomaticApproval`,
		`grants nothing: kinds.json: policy "p2", $.ApplicationCheck: found no applications, expected applications, or "*"; as it stands the policy restricts every program and grants nothing`,
		`note: kinds.json:7: policy "p3", $.PolicyType: found HttpAccess, expected PrivilegeElevation or CommandLine or FileAccess; policies of this type are kept and shown, and say nothing about elevations; nothing is granted by them, and their DENY holds for questions of this type`,
		`grants nothing: kinds.json:2: policy "p0", $.Extension.Folders[1]: found "etc", expected an absolute folder`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// The documented types that answer nothing in this release: a policy of one is
// noted, grants nothing and denies nothing, and a question of one is refused.
func TestKnownTypesThatAnswerNothing(t *testing.T) {
	seen := map[string]bool{}
	for _, kind := range Kinds() {
		for _, name := range kind.types {
			if seen[name] {
				t.Errorf("%s is in two rows", name)
			}
			seen[name] = true
			if kind.answer != nil {
				continue
			}
			set, findings := compileWith(t, engine, sketch{kind: strings.ToUpper(name), controls: "DENY", extra: `, "Extension": {"anything": 1}`}, sketch{controls: "ALLOW"})
			if len(findings) != 1 || findings[0].Severity != Note || findings[0].Found != name {
				t.Errorf("%s: %v", name, findings)
			}
			q := ask("/usr/bin/id", "id", "id")
			if got := set.Decide(q); got.Outcome != core.Allow {
				t.Errorf("%s: an elevation: %+v", name, got)
			}
			q.Kind = name
			if got := set.Decide(q); got.Outcome != core.Deny || !strings.Contains(got.Message, "elevations only") {
				t.Errorf("%s: a question: %+v", name, got)
			}
			if got := set.Watching(q); got.Policies != nil {
				t.Errorf("%s: watching: %v", name, got)
			}
		}
	}
	if len(seen) != 9 {
		t.Errorf("%d types", len(seen))
	}
}
