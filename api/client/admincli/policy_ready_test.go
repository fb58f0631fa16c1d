package admincli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"kpm/core"
	"kpm/core/policy"
)

const readyFolder = "../../../docs/policies"

// ready are the policies of docs/policies, by name.
func ready(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob(readyFolder + "/*.json")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, file := range files {
		if name, is := strings.CutSuffix(filepath.Base(file), ".json"); is && !strings.Contains(name, ".") {
			names = append(names, name)
		}
	}
	if len(names) != 12 {
		t.Fatalf("%d policies: %q", len(names), names)
	}
	return names
}

// Each ready policy means what it says, does its job, and withstands attacks.
func TestReadyPolicies(t *testing.T) {
	for _, name := range ready(t) {
		file := filepath.Join(readyFolder, name+".cases.json")
		cases, err := readCases(file)
		if err != nil {
			t.Fatal(err)
		}
		set := readPolicies(PolicyFiles{Paths: []string{filepath.Join(readyFolder, name+".json")}, Files: cases.Files})
		for _, f := range set.Review(caseTime()) {
			// What a control still lacks, its policies do not.
			if f.Severity != policy.Note && !strings.Contains(f.Found, "nothing here verifies yet") {
				t.Error(f.Error())
			}
		}
		attacks, jobs := 0, 0
		for _, c := range cases.Cases {
			c = c.with(cases.Defaults)
			if attack := strings.HasPrefix(c.Name, "attack: "); attack != (c.Expect == core.Deny) {
				t.Errorf("%s: %q expects %s", name, c.Name, c.Expect)
			} else if attack {
				attacks++
			} else {
				jobs++
			}
		}
		if attacks < 8 || jobs < 1 {
			t.Errorf("%s: %d attacks, %d jobs", name, attacks, jobs)
		}
		if out := tell(t, exitOK, "policy", "test", file); !strings.HasSuffix(out, ", 0 failed\n") {
			t.Errorf("%s: %s", name, out)
		}
	}
}

// Without the grant of any of them, a job is not done: its cases can fail.
func TestReadyCasesCanFail(t *testing.T) {
	for _, name := range ready(t) {
		data, err := os.ReadFile(filepath.Join(readyFolder, name+".json"))
		if err != nil {
			t.Fatal(err)
		}
		for _, status := range []string{"off", "monitor"} {
			file := filepath.Join(t.TempDir(), "p.json")
			if err := os.WriteFile(file, []byte(strings.ReplaceAll(string(data), `"enforce"`, `"`+status+`"`)), 0o644); err != nil {
				t.Fatal(err)
			}
			out := tell(t, exitFault, "policy", "test", "--policies", file, filepath.Join(readyFolder, name+".cases.json"))
			if !strings.Contains(out, "FAILED") || !strings.Contains(out, "found DENY") {
				t.Errorf("%s, %s: %s", name, status, out)
			}
		}
	}
}

// The page shows each of them.
func TestThePageNamesEachReadyPolicy(t *testing.T) {
	page, err := os.ReadFile("../../../docs/policies.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range ready(t) {
		if !strings.Contains(string(page), "("+"policies/"+name+".json)") {
			t.Errorf("docs/policies.md does not link policies/%s.json", name)
		}
	}
}

// The example of a file of cases is about the example of a policy, and passes.
func TestTheCasesOfTheManual(t *testing.T) {
	page, err := os.ReadFile("../../../docs/policies.md")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, id := range map[string]string{"restart-nginx.json": `"PolicyId": "restart-nginx"`, "cases.json": `"Cases": [`} {
		for _, block := range strings.Split(string(page), "```json\n")[1:] {
			if text, _, _ := strings.Cut(block, "```"); strings.Contains(text, id) {
				if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	if out := tell(t, exitOK, "policy", "test", filepath.Join(dir, "cases.json")); out != "3 cases, 0 failed\n" {
		t.Error(out)
	}
}

// The schema has the keys that the reader takes, and no others.
func TestTheSchemaOfCases(t *testing.T) {
	data, err := os.ReadFile(readyFolder + "/cases.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	type object struct {
		Properties           map[string]any
		AdditionalProperties any
	}
	var schema struct {
		object
		Defs map[string]object `json:"$defs"`
	}
	if err := json.Unmarshal(data, &schema); err != nil {
		t.Fatal(err)
	}
	for _, part := range []struct {
		schema object
		kind   reflect.Type
	}{{schema.object, reflect.TypeFor[CasesFile]()}, {schema.Defs["case"], reflect.TypeFor[Case]()}} {
		var keys, want []string
		for key := range part.schema.Properties {
			keys = append(keys, key)
		}
		for i := range part.kind.NumField() {
			name, _, _ := strings.Cut(part.kind.Field(i).Tag.Get("json"), ",")
			want = append(want, name)
		}
		slices.Sort(keys)
		slices.Sort(want)
		if !slices.Equal(keys, want) || part.schema.AdditionalProperties != false {
			t.Errorf("%s: %q, want %q", part.kind.Name(), keys, want)
		}
	}
}
