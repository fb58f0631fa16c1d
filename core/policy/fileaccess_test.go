package policy

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"kpm/core"
)

// opening is alice asking whether she may open a file.
func opening(path string) Question {
	q := ask(path, path, path)
	q.Kind = TypeFileAccess
	return q
}

func TestFileAccess(t *testing.T) {
	folder := `, "Extension": {"Folders": ["{var}/lib/pay"]}`
	for _, tc := range []struct {
		name     string
		policies []sketch
		path     string
		want     core.Outcome
	}{
		{"a policy allows it", []sketch{{kind: "FileAccess", controls: "ALLOW", apps: []string{"/srv/pay/*"}}}, "/srv/pay/list", core.Allow},
		{"a policy asks", []sketch{{kind: "FileAccess", controls: "JUSTIFY", apps: []string{"/srv/pay/list"}}}, "/srv/pay/list", core.Pending},
		{"DENY wins", []sketch{{kind: "FileAccess", controls: "ALLOW"}, {kind: "FileAccess", controls: "DENY", apps: []string{"/srv/pay/*"}}}, "/srv/pay/list", core.Deny},
		{"no policy", nil, "/srv/pay/list", core.Deny},
		{"an elevation's policy says nothing", []sketch{{controls: "ALLOW"}}, "/srv/pay/list", core.Deny},
		{"in a folder", []sketch{{kind: "FileAccess", controls: "ALLOW", extra: folder}}, "/var/lib/pay/a/b", core.Allow},
		{"beside the folder", []sketch{{kind: "FileAccess", controls: "ALLOW", extra: folder}}, "/var/lib/payroll", core.Deny},
		{"named in a folder", []sketch{{kind: "FileAccess", controls: "JUSTIFY", apps: []string{"*.txt"}, extra: folder}}, "/var/lib/pay/a.txt", core.Pending},
		{"named below a folder", []sketch{{kind: "FileAccess", controls: "ALLOW", apps: []string{"a.txt"}, extra: folder}}, "/var/lib/pay/deep/a.txt", core.Allow},
		{"of another name there", []sketch{{kind: "FileAccess", controls: "ALLOW", apps: []string{"*.txt", "b"}, extra: folder}}, "/var/lib/pay/a.key", core.Deny},
		{"named elsewhere", []sketch{{kind: "FileAccess", controls: "ALLOW", apps: []string{"*.txt"}, extra: folder}}, "/var/lib/payroll/a.txt", core.Deny},
		{"named, and no folder", []sketch{{kind: "FileAccess", controls: "ALLOW", apps: []string{"*.txt"}}}, "/var/lib/pay/a.txt", core.Deny},
		{"named in a folder whose star is a star", []sketch{{kind: "FileAccess", controls: "ALLOW", apps: []string{"*.txt"}, extra: `, "Extension": {"Folders": ["/var/*"]}`}}, "/var/lib/a.txt", core.Deny},
		{"a star in a folder is a star", []sketch{{kind: "FileAccess", controls: "ALLOW", extra: `, "Extension": {"Folders": ["/var/*"]}`}}, "/var/lib/pay", core.Deny},
		{"a folder that is none denies everywhere", []sketch{{kind: "FileAccess", controls: "ALLOW"}, {kind: "FileAccess", controls: "DENY", extra: `, "Extension": {"Folders": ["pay"]}`}}, "/srv/x", core.Deny},
		{"an unknown key grants nothing", []sketch{{kind: "FileAccess", controls: "ALLOW", extra: `, "Extension": {"Folder": ["/srv"]}`}}, "/srv/x", core.Deny},
		{"monitoring changes nothing", []sketch{{kind: "FileAccess", controls: "ALLOW", status: "monitor"}}, "/srv/x", core.Deny},
	} {
		if got := compileSketches(t, linux(), tc.policies...).Decide(opening(tc.path)); got.Outcome != tc.want {
			t.Errorf("%s: %+v", tc.name, got)
		}
	}
}

func TestFileRules(t *testing.T) {
	set := compileSketches(t, linux(),
		sketch{id: "a-allow", kind: "FileAccess", controls: "ALLOW", apps: []string{"/srv/pay/*"}},
		sketch{id: "b-deny", kind: "FileAccess", controls: "DENY", users: []string{"bob", "#1001", "%staff", "%#20"}, apps: []string{"/srv/pay/list", "/srv/pay/*.key"}},
		sketch{id: "c-ask", kind: "FileAccess", controls: "JUSTIFY", apps: []string{"*.pem", "notes.txt", "*"}, extra: `, "Extension": {"Folders": ["/srv/keys"]}`},
		sketch{id: "d-nowhere", kind: "FileAccess", controls: "DENY", apps: []string{"*", "notes.txt", "/*"}},
		sketch{id: "e-elsewhere", kind: "FileAccess", controls: "DENY", machines: []string{"db1"}, apps: []string{"/srv/x"}},
		sketch{id: "f-elevation", controls: "DENY", apps: []string{"/srv/x"}},
		sketch{id: "g-unknown", kind: "Tomorrow", controls: "DENY", apps: []string{"/srv/x"}},
		sketch{id: "h-off", kind: "FileAccess", controls: "DENY", status: "off", apps: []string{"/srv/x"}},
		sketch{id: "i-watch", kind: "FileAccess", controls: "DENY", status: "monitor", apps: []string{"/srv/x"}},
		sketch{id: "j-sunday", kind: "FileAccess", controls: "DENY", apps: []string{"/srv/x"}, extra: `, "DayCheck": [0]`},
	)
	monday := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	got := set.FileRules("web1", monday)
	for i := range got.Rules {
		got.Rules[i].Name = ""
	}
	want := core.FileRules{Rules: []core.FileRule{
		{PolicyRef: core.PolicyRef{ID: "b-deny"}, Denies: true, Users: []string{"bob", "#1001"}, Groups: []string{"staff", "#20"}, Files: []string{"/srv/pay/*.key", "/srv/pay/list"}},
		{PolicyRef: core.PolicyRef{ID: "c-ask"}, Everyone: true, Files: []string{"/srv/keys/*", "/srv/keys/*.pem", "/srv/keys/*/notes.txt", "/srv/keys/notes.txt"}},
		{PolicyRef: core.PolicyRef{ID: "i-watch"}, Denies: true, Monitor: true, Everyone: true, Files: []string{"/srv/x"}},
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	sunday := set.FileRules("web1", monday.AddDate(0, 0, -1))
	if len(sunday.Rules) != 4 || sunday.Rules[2].ID != "j-sunday" {
		t.Errorf("on a Sunday: %+v", sunday)
	}
}

func TestMatchFile(t *testing.T) {
	if !MatchFile("/srv/*.key", "/srv/a/b.key") || MatchFile("/srv/*.key", "/srv/a") || !MatchFile("/srv/a", "/srv/a") {
		t.Error("patterns of file rules are not those of policies")
	}
	for pattern, want := range map[string]string{"/srv/a*": "/srv", "/srv/x/*": "/srv/x", "/srv/f": "/srv", "/f": ""} {
		if folder, _ := FileFolder(pattern); folder != want {
			t.Errorf("%s: %q", pattern, folder)
		}
	}
}
