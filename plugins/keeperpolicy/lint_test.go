package keeperpolicy

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kpm/core/controls"
	"kpm/core/policy"
)

func TestLint(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	tools := Tools{} // which know nothing about programs
	good := file("good.json", policyJSON("a", "ALLOW", "/usr/bin/id"))
	doubtful := file("doubtful.json", strings.Replace(policyJSON("b", "ALLOW", "known"), "ALLOW", "FINGERPRINT", 1))
	faulty := file("faulty.json", `{"PolicyId": "c"`)
	collections := file("collections.json", `{"known": {"Type": "application", "Values": ["{nosuch}/x"]}}`)
	for _, tc := range []struct {
		args []string
		code int
		says []string // lines, in order, by how they begin
	}{
		{[]string{good}, 0, nil},
		{[]string{good, doubtful}, 1, []string{`grants nothing: ` + doubtful + `:2: policy "b", $.Actions.OnSuccess.Controls[0]: found "FINGERPRINT", expected`}},
		{[]string{"--collections", collections, doubtful}, 1, []string{`grants nothing: `, `grants nothing: ` + doubtful + `:2: policy "b", $.ApplicationCheck[0]: found "{nosuch}", expected`}},
		{[]string{faulty, good}, 1, []string{`fault: ` + faulty + `:1: found no valid JSON`}},
		{[]string{filepath.Join(dir, "missing.json")}, 1, []string{`fault: `}},
		{[]string{"--collections", good, good}, 1, []string{`grants nothing: ` + good, `grants nothing: ` + good, `grants nothing: ` + good}},
		{[]string{dir}, 1, []string{`grants nothing: `, `fault: `}},
		{[]string{}, 2, nil},
		{[]string{"--nonsense"}, 2, nil},
	} {
		var out, errs bytes.Buffer
		if code := Lint(tc.args, &out, &errs, tools); code != tc.code {
			t.Errorf("%v: exit code %d, want %d\n%s%s", tc.args, code, tc.code, &out, &errs)
		}
		var lines []string // without what the findings show of the file
		for line := range strings.Lines(out.String()) {
			if !strings.HasPrefix(line, " ") {
				lines = append(lines, line)
			}
		}
		for i, want := range tc.says {
			if i >= len(lines) || !strings.HasPrefix(lines[i], want) {
				t.Errorf("%v: line %d is not %q:\n%s", tc.args, i+1, want, &out)
			}
		}
		if tc.says == nil && lines != nil {
			t.Errorf("%v: it says\n%s", tc.args, &out)
		}
		if tc.code == 2 && !strings.Contains(errs.String(), "Usage: KeeperPolicy lint") {
			t.Errorf("%v: no usage: %s", tc.args, &errs)
		}
	}
	// Each finding shows its line, with a caret under the place.
	var out bytes.Buffer
	Lint([]string{file("shown.json", "\ufeff{\n  \"PolicyId\": \"s\",\n  \"PolicyType\": \"Elevation\"\n}")}, &out, &out, tools)
	want := filepath.Join(dir, "shown.json") + `:3: policy "s", $.PolicyType: found "Elevation", expected a documented policy type; PrivilegeElevation, CommandLine, FileAccess are those that grant something
    3 |   "PolicyType": "Elevation"
      |                 ^
`
	if got := out.String(); !strings.HasPrefix(got, "grants nothing: "+want) {
		t.Errorf("got\n%s", got)
	}
	for _, path := range []string{good, faulty} {
		var out bytes.Buffer
		Lint([]string{"--json", path}, &out, &out, tools)
		var findings []map[string]any
		if err := json.Unmarshal(out.Bytes(), &findings); err != nil || findings == nil {
			t.Errorf("%s: %v: %s", path, err, &out)
		}
		if path == faulty && (len(findings) == 0 || findings[0]["severity"] != policy.Fault.String() || findings[0]["file"] != faulty) {
			t.Errorf("got %v", findings)
		}
	}
}

// The examples of the manual are what they say.
func TestExamplesInTheManual(t *testing.T) {
	manual, err := os.ReadFile("../../docs/policies.md")
	if err != nil {
		t.Fatal(err)
	}
	var policies, collections, cases int
	for i, part := range strings.Split(string(manual), "```") {
		text, ok := strings.CutPrefix(part, "json\n")
		switch {
		case !ok || i%2 == 0:
		case strings.Contains(text, `"PolicyType"`):
			policies++
			if read, findings := policy.New(policy.Kinds(), controls.Standard()).Parse("policies.md", []byte(text)); len(read) != strings.Count(text, `"PolicyType"`) || len(findings) != 0 {
				t.Errorf("%d policies, %v of\n%s", len(read), findings, text)
			}
		case strings.Contains(text, `"Cases"`):
			cases++
		default:
			collections++
			if read, findings := policy.ParseCollections("policies.md", []byte(text)); len(read) != 1 || len(findings) != 0 {
				t.Errorf("the collections: %v", findings)
			}
		}
	}
	if policies < 5 || collections != 1 || cases != 1 {
		t.Errorf("%d examples of policies, %d of collections, %d of cases", policies, collections, cases)
	}
}
