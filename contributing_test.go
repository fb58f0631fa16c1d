package kpm_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestWhatIsToBeTouchedIsThere holds "Adding things" of CONTRIBUTING.md to the
// tree: files exist, hold what is said to be in them, and so do the tests that
// show how it is done.
func TestWhatIsToBeTouchedIsThere(t *testing.T) {
	page, err := os.ReadFile("CONTRIBUTING.md")
	if err != nil {
		t.Fatal(err)
	}
	_, adding, found := strings.Cut(string(page), "## Adding things\n")
	if !found {
		t.Fatal("there is no section about adding things")
	}
	placeholder := regexp.MustCompile(`<\w+>`)
	paths := 0
	for _, m := range regexp.MustCompile("`([a-z]+/[^` ]+|Makefile)`").FindAllStringSubmatch(adding, -1) {
		paths++
		if files, err := filepath.Glob(strings.TrimSuffix(placeholder.ReplaceAllString(m[1], "*"), "/")); err != nil || len(files) == 0 {
			t.Errorf("there is no %s", m[1])
		}
	}
	if paths < 20 {
		t.Errorf("%d paths were understood", paths)
	}
	named := regexp.MustCompile("`(\\w+)` in `([^`<]+)`").FindAllStringSubmatch(adding, -1)
	shown := 0
	for _, m := range named {
		data, err := os.ReadFile(m[2])
		if err != nil {
			t.Errorf("%s: %v", m[1], err)
			continue
		}
		if !regexp.MustCompile(`(?m)^(func (\(.*\) )?` + m[1] + `\(|` + m[1] + ` :?=)`).Match(data) {
			t.Errorf("%s has no %s", m[2], m[1])
		}
		if strings.HasPrefix(m[1], "Test") {
			shown++
		}
	}
	if len(named) < 13 || shown < 8 {
		t.Errorf("%d names and %d tests were understood", len(named), shown)
	}
}
