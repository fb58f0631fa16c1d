package kpm_test

import (
	"encoding/json"
	"go/parser"
	"go/token"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestDependenciesAreTheDocumentedOnes holds the table of docs/dependencies.md
// to go.mod's direct requirements, and its column "where" to the imports.
func TestDependenciesAreTheDocumentedOnes(t *testing.T) {
	rows := dependencyRows(t)
	required := requirements(t)
	for module, version := range required {
		row, ok := rows[module]
		if !ok {
			t.Errorf("docs/dependencies.md: add a row for %s %s: what for, where, licence, who keeps it, what would replace it", module, version)
			continue
		}
		if row[1] != version {
			t.Errorf("docs/dependencies.md: %s is %s, go.mod has %s", module, row[1], version)
		}
		product, tests := importers(t, module)
		for _, dir := range product {
			if !slices.ContainsFunc(row.where(false), func(room string) bool { return under(dir, room) }) {
				t.Errorf("docs/dependencies.md: %s is imported by %s, which its column \"where\" does not name", module, dir)
			}
		}
		for _, room := range slices.Concat(row.where(true), row.where(false)) {
			if !slices.ContainsFunc(slices.Concat(product, tests), func(dir string) bool { return under(dir, room) }) {
				t.Errorf("docs/dependencies.md: %s is not imported by %s", module, room)
			}
		}
	}
	for module := range rows {
		if required[module] == "" {
			t.Errorf("docs/dependencies.md: go.mod does not require %s: remove its row", module)
		}
	}
}

// dependency is a row: module, version, what for, where, licence, who keeps
// it, what would replace it.
type dependency []string

// where returns the packages that the row names, those of tests or the others.
func (d dependency) where(tests bool) []string {
	var rooms []string
	for _, part := range strings.Split(d[3], ";") {
		if strings.Contains(part, "tests of ") != tests {
			continue
		}
		for _, m := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(part, -1) {
			rooms = append(rooms, m[1])
		}
	}
	return rooms
}

// dependencyRows reads the page's table: one, unbroken, no cell empty.
func dependencyRows(t *testing.T) map[string]dependency {
	t.Helper()
	rows := map[string]dependency{}
	tables, inside := 0, false
	for line := range strings.Lines(pages(t)["docs/dependencies.md"]) {
		line = strings.TrimSpace(line)
		if !strings.HasPrefix(line, "|") {
			inside = false
			continue
		}
		if !inside {
			tables, inside = tables+1, true
			continue // the head
		}
		cells := strings.Split(strings.Trim(line, "| "), " | ")
		if strings.HasPrefix(cells[0], "---") {
			continue
		}
		if len(cells) != 7 || slices.Contains(cells, "") {
			t.Errorf("docs/dependencies.md: %s: %d cells, expected 7 and none empty", cells[0], len(cells))
			continue
		}
		rows[cells[0]] = cells
	}
	if tables != 1 {
		t.Errorf("docs/dependencies.md has %d tables, expected one, unbroken", tables)
	}
	return rows
}

// requirements returns go.mod's direct requirements and their versions.
func requirements(t *testing.T) map[string]string {
	t.Helper()
	out, err := exec.Command("go", "mod", "edit", "-json").Output()
	if err != nil {
		t.Fatal(err)
	}
	var mod struct {
		Require []struct {
			Path, Version string
			Indirect      bool
		}
	}
	if err := json.Unmarshal(out, &mod); err != nil {
		t.Fatal(err)
	}
	direct := map[string]string{}
	for _, r := range mod.Require {
		if !r.Indirect {
			direct[r.Path] = r.Version
		}
	}
	return direct
}

// importers returns the directories whose Go files, of any system, import
// module: what is in executables, and what is in tests and vmtests.
func importers(t *testing.T, module string) (product, tests []string) {
	t.Helper()
	files(t, ".go", func(path string, data []byte) {
		file, err := parser.ParseFile(token.NewFileSet(), path, data, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		dir := filepath.ToSlash(filepath.Dir(path))
		for _, spec := range file.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			switch {
			case err != nil || !under(imported, module):
			case strings.HasSuffix(path, "_test.go") || under(dir, "vmtests"):
				tests = append(tests, dir)
			default:
				product = append(product, dir)
			}
		}
	})
	return slices.Compact(product), slices.Compact(tests)
}
