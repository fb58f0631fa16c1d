package kpm_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestTheAttackMapNamesTests holds docs/cve-map.md against the code: whatever
// it says owns a class is there.
func TestTheAttackMapNamesTests(t *testing.T) { namesTests(t, "docs/cve-map.md", 4, 30) }

// TestWhatPeopleAskForNamesTests does the same for docs/what-people-ask-for.md.
func TestWhatPeopleAskForNamesTests(t *testing.T) {
	namesTests(t, "docs/what-people-ask-for.md", 3, 20)
}

// namesTests looks for the tests that the last column of a page's table names.
func namesTests(t *testing.T, name string, columns, atLeast int) {
	t.Helper()
	page, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	owner := regexp.MustCompile("^`([^`]+)` ((?:Test|Fuzz)\\w+(?:, (?:Test|Fuzz)\\w+)*)$")
	rows := 0
	for line := range strings.Lines(string(page)) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), " | ")
		if len(cells) != columns || strings.HasPrefix(line, "| class") || strings.HasPrefix(line, "| asked for") || strings.HasPrefix(line, "| ---") {
			continue
		}
		rows++
		for _, part := range strings.Split(strings.TrimSpace(cells[columns-1]), "; ") {
			named := owner.FindStringSubmatch(part)
			if named == nil {
				t.Errorf("%s: %q is not a package and its tests", cells[0], part)
				continue
			}
			for _, name := range strings.Split(named[2], ", ") {
				if !defined(t, named[1], name) {
					t.Errorf("%s: there is no %s in %s", cells[0], name, named[1])
				}
			}
		}
	}
	if rows < atLeast {
		t.Errorf("%d rows were understood", rows)
	}
}

// defined reports whether a test function is in one of dir's test files.
func defined(t *testing.T, dir, name string) bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(source), "\nfunc "+name+"(") {
			return true
		}
	}
	return false
}

// TestTheJournalsRecordsAreDescribed holds docs/journal.md against the types of records
// that there are.
func TestTheJournalsRecordsAreDescribed(t *testing.T) {
	source, err := os.ReadFile("launcher/journal/record.go")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("docs/journal.md")
	if err != nil {
		t.Fatal(err)
	}
	types := regexp.MustCompile(`(?m)^\t\w+ +Type = "([a-z-]+)"`).FindAllStringSubmatch(string(source), -1)
	if len(types) < 30 {
		t.Errorf("%d types were found", len(types))
	}
	for _, found := range types {
		if !regexp.MustCompile("(?m)^\\|[^|]*`" + found[1] + "`").Match(text) {
			t.Errorf("docs/journal.md has no row for %s", found[1])
		}
	}
}
