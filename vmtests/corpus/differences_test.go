//go:build linux

package corpus

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// Every verdict that is not another verifier's has its row in docs/trust.md, "Real
// files", and every row a file whose verdicts differ: that they do is found by
// TestOthersSeeTheSame and TestRealRPMs.
func TestDifferencesAreDocumented(t *testing.T) {
	page, err := os.ReadFile("../../docs/trust.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(page), "\n| file | they | we | why |\n| --- | --- | --- | --- |\n")
	var rows []string
	for line := range strings.Lines(table) {
		cells := strings.Split(line, "|")
		if len(cells) < 6 {
			break
		}
		rows = append(rows, strings.TrimSpace(cells[1]))
	}
	used := []string{}
	for _, f := range files() {
		used = append(used, f.differs)
	}
	for _, r := range realRPMs() {
		used = append(used, r.differs)
	}
	for _, row := range rows {
		if !slices.Contains(used, row) {
			t.Errorf("%q is the row of no file", row)
		}
	}
	for _, row := range used {
		if row != "" && !slices.Contains(rows, row) {
			t.Errorf("docs/trust.md has no row %q", row)
		}
	}
	if len(rows) == 0 {
		t.Error("docs/trust.md has no rows")
	}
}

// Every package is named on the page.
func TestPackagesAreDocumented(t *testing.T) {
	page, err := os.ReadFile("../../docs/trust.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files() {
		if f.of.From == "npm" && !strings.Contains(string(page), "`"+f.of.Name+"`") {
			t.Errorf("docs/trust.md does not name %s", f.of.Name)
		}
	}
}
