package kpm_test

import (
	"encoding/json"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestCitedDecisionsExist: whoever cites "decision 26" finds it.
func TestCitedDecisionsExist(t *testing.T) {
	page := pages(t)["docs/decisions.md"]
	var numbers []string
	numbered := regexp.MustCompile(`^(\d+[a-z]?)\. `)
	for _, title := range headings(page) {
		if m := numbered.FindStringSubmatch(title); m != nil {
			numbers = append(numbers, m[1])
		}
	}
	if got := strings.Count(page, "\nStatus: "); got != len(numbers) {
		t.Errorf("docs/decisions.md has %d decisions and %d lines that begin with \"Status: \"", len(numbers), got)
	}
	cited := regexp.MustCompile(`\b[Dd]ecisions? (\d+[a-z]?(?:(?:, and |, | and | or )\d+[a-z]?)*)\b`)
	number := regexp.MustCompile(`\d+[a-z]?`)
	count := 0
	for _, p := range passages(t) {
		for _, m := range cited.FindAllStringSubmatch(p.text, -1) {
			for _, n := range number.FindAllString(m[1], -1) {
				count++
				if !slices.Contains(numbers, n) {
					t.Errorf("%s: there is no decision %s in docs/decisions.md", p.at, n)
				}
			}
		}
	}
	if count < 100 {
		t.Errorf("%d citations were understood", count)
	}
}

// TestTheRepositoryStandsAlone: what it follows is cited by the title under
// which readers can find it, and not by a number that only its authors know.
func TestTheRepositoryStandsAlone(t *testing.T) {
	private := regexp.MustCompile(`(?i)\bseed \d|\bthe seeds? (?:says?|gives?|spells?|prescribes?)\b`)
	for _, p := range passages(t) {
		if found := private.FindString(p.text); found != "" {
			t.Errorf("%s: cites %q: name the section of docs/architecture-published.md", p.at, found)
		}
	}
}

// A page by its name, and a section by its title after the page's name or
// before it.
var (
	namedPage     = regexp.MustCompile(`\bdocs/[a-z-]+\.md\b`)
	sectionAfter  = regexp.MustCompile(`\b([A-Za-z-]+\.md)(?:\]\([^)]*\))?(?:, | \()("[^"]+"(?:(?:, | and )"[^"]+")*)`)
	sectionBefore = regexp.MustCompile(`"([^"]+)" (?:of|in) \[?(?:docs/)?([A-Za-z-]+\.md)\b`)
	quoted        = regexp.MustCompile(`"([^"]+)"`)
)

// TestCitedPagesAndSectionsExist: forms are docs/wire.md, docs/wire.md,
// "Authority", and "Authority" of docs/wire.md. A section may also be one row
// of a table, by its first cell, or the rows of one section of the settings.
func TestCitedPagesAndSectionsExist(t *testing.T) {
	all := pages(t)
	count := 0
	check := func(at, page, section string) {
		text, ok := all[page]
		if !ok {
			text, ok = all[path.Join("docs", page)]
		}
		count++
		if !ok {
			t.Errorf("%s: there is no page %s", at, page)
		} else if !slices.Contains(headings(text), section) && !strings.Contains(text, "\n| `"+section+"` |") && !strings.Contains(text, "\n| `"+section+":") {
			t.Errorf("%s: %s has no section %q", at, page, section)
		}
	}
	for _, p := range passages(t) {
		for _, page := range namedPage.FindAllString(p.text, -1) {
			if _, ok := all[page]; !ok {
				t.Errorf("%s: there is no %s", p.at, page)
			}
		}
		for _, m := range sectionAfter.FindAllStringSubmatch(p.text, -1) {
			for _, section := range quoted.FindAllStringSubmatch(m[2], -1) {
				check(p.at, m[1], section[1])
			}
		}
		for _, m := range sectionBefore.FindAllStringSubmatch(p.text, -1) {
			check(p.at, m[2], m[1])
		}
	}
	if count < 25 {
		t.Errorf("%d citations of sections were understood", count)
	}
}

// TestNamedSettingsExist: a key like Settings:PluginPath, wherever it is named,
// is in the first table of docs/settings.md.
func TestNamedSettingsExist(t *testing.T) {
	row := regexp.MustCompile("(?m)^\\| `(([A-Za-z]+):[A-Za-z.]+)` \\|")
	var keys, sections []string
	for _, m := range row.FindAllStringSubmatch(pages(t)["docs/settings.md"], -1) {
		keys, sections = append(keys, m[1]), append(sections, m[2])
	}
	slices.Sort(sections)
	sections = slices.Compact(sections)
	if len(keys) < 30 {
		t.Fatalf("docs/settings.md: %d keys were understood", len(keys))
	}
	named := regexp.MustCompile(`\b(?:` + strings.Join(sections, "|") + `):[A-Z][A-Za-z]*\b`)
	for _, p := range passages(t) {
		if p.kind == isTestLiteral {
			continue // tests name settings that must be refused
		}
		for _, key := range named.FindAllString(p.text, -1) {
			if !slices.Contains(keys, key) {
				t.Errorf("%s: docs/settings.md has no %s", p.at, key)
			}
		}
	}
}

// TestNamedRoutesExist: a page, comment or message that names a route of the
// API names one that is in openapi.json, with a method that it has.
func TestNamedRoutesExist(t *testing.T) {
	data, err := os.ReadFile("api/openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	var document struct {
		Paths map[string]map[string]json.RawMessage `json:"paths"`
	}
	if err := json.Unmarshal(data, &document); err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile(`(?:\b(GET|HEAD|POST|PUT|PATCH|DELETE) )?[^\s"'` + "`" + `]*?(/api/[A-Za-z0-9%{}/_.-]*)`)
	count := 0
	for _, p := range passages(t) {
		if p.kind == isTestLiteral {
			continue // tests ask for routes that do not exist
		}
		for _, m := range named.FindAllStringSubmatch(p.text, -1) {
			if strings.Contains(m[0], "kpm/api/") {
				continue // a package
			}
			// A text that is a path and nothing else may be the beginning of
			// one: the program adds the rest.
			beginning := p.kind == isLiteral && m[0] == p.text
			count++
			if !hasRoute(document.Paths, strings.ToLower(m[1]), strings.TrimRight(m[2], "."), beginning) {
				t.Errorf("%s: api/openapi.json has no %q", p.at, strings.TrimSpace(m[0]))
			}
		}
	}
	if count < 20 {
		t.Errorf("%d routes were understood", count)
	}
}

// hasRoute compares segment by segment; {name} in the document stands for any
// segment, and so does a verb of fmt or a {token} in the text.
func hasRoute(paths map[string]map[string]json.RawMessage, method, named string, beginning bool) bool {
	segments := strings.Split(strings.TrimSuffix(named, "/"), "/")
	for pattern, operations := range paths {
		want := strings.Split(pattern, "/")
		if len(want) < len(segments) || len(want) > len(segments) && !beginning {
			continue
		}
		fits := true
		for i, segment := range segments {
			open := strings.HasPrefix(want[i], "{") || strings.ContainsAny(segment, "%{")
			fits = fits && (open || strings.EqualFold(want[i], segment))
		}
		if _, ok := operations[method]; fits && (ok || method == "") {
			return true
		}
	}
	return false
}
