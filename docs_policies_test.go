package kpm_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Whoever copies a ready policy out of the page has the one that the cases beside it
// were asked about.
func TestThePageHasTheReadyPolicies(t *testing.T) {
	page, err := os.ReadFile("docs/policies.md")
	if err != nil {
		t.Fatal(err)
	}
	cases, err := filepath.Glob("docs/policies/*.cases.json")
	if err != nil || len(cases) < 12 {
		t.Fatalf("%d files of cases (%v)", len(cases), err)
	}
	for _, name := range cases {
		file := strings.TrimSuffix(name, ".cases.json") + ".json"
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(page), "```json\n"+string(data)+"```\n") {
			t.Errorf("docs/policies.md does not have %s as it is", file)
		}
	}
}
