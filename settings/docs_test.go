package settings

import (
	"encoding/json"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"kpm/core"
)

// documented returns the rows of the first table of docs/settings.md that
// follows heading, cells trimmed, "\|" read as "|".
func documented(t *testing.T, heading string) [][]string {
	t.Helper()
	data, err := os.ReadFile("../docs/settings.md")
	if err != nil {
		t.Fatal(err)
	}
	_, after, ok := strings.Cut("\n"+string(data), "\n"+heading+"\n")
	if !ok {
		t.Fatalf("docs/settings.md has no heading %q", heading)
	}
	var rows [][]string
	for line := range strings.Lines(after) {
		line = strings.TrimSpace(line)
		if !strings.HasPrefix(line, "|") {
			if rows != nil {
				break
			}
			continue
		}
		cells := strings.Split(strings.ReplaceAll(strings.Trim(line, "|"), `\|`, "\x00"), "|")
		for i, c := range cells {
			cells[i] = strings.TrimSpace(strings.ReplaceAll(c, "\x00", "|"))
		}
		rows = append(rows, cells)
	}
	if len(rows) < 3 {
		t.Fatalf("no table under %q", heading)
	}
	return rows[2:] // without head and rule
}

func plain(cell string) string { return strings.ReplaceAll(cell, "`", "") }

func TestAppSettingsAreTheDocumentedOnes(t *testing.T) {
	rows := documented(t, "# Settings")
	table := entries()
	if len(rows) != len(table) {
		t.Fatalf("docs/settings.md has %d keys, the code %d", len(rows), len(table))
	}
	for i, e := range table {
		key, fallback, allowed := plain(rows[i][0]), strings.Trim(rows[i][1], "`"), plain(rows[i][2])
		var text string
		if json.Unmarshal([]byte(e.fallback), &text) != nil {
			text = e.fallback
		}
		if key != e.key || fallback != text || allowed != e.allowed {
			t.Errorf("row %d: documented %q, %q, %q; the code has %q, %q, %q", i, key, fallback, allowed, e.key, text, e.allowed)
		}
	}
}

func TestPluginDefaultsAreTheDocumentedOnes(t *testing.T) {
	rows := documented(t, "## Settings of plugins")
	table := defaults()
	var documentedRows [][]string
	for _, row := range rows {
		if plain(row[1]) != "broker.port" { // has no default: it is what is held
			documentedRows = append(documentedRows, []string{plain(row[0]), plain(row[1]), plain(row[2])})
		}
	}
	var coded [][]string
	for _, d := range table {
		coded = append(coded, []string{d.plugin, d.key, d.value})
	}
	if !reflect.DeepEqual(documentedRows, coded) {
		t.Errorf("documented %v\nthe code has %v", documentedRows, coded)
	}
}

func TestEnvironmentIsTheDocumentedOne(t *testing.T) {
	want := []string{"PATH", "LANG"}
	for _, row := range documented(t, "## Environment of launched processes") {
		if row[1] == "every plugin and task" {
			want = append(want, plain(row[0]))
		}
	}
	var got []string
	for _, kv := range At("/agent", "").Environment([]string{"PATH=" + core.Linux.PathVariable()}, "https://127.0.0.1:6889") {
		name, _, _ := strings.Cut(kv, "=")
		got = append(got, name)
	}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("got %v, documented %v", got, want)
	}
	data, err := os.ReadFile("../docs/settings.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, fixed := range []string{"`PATH=" + core.Linux.PathVariable() + "`", "`LANG=C.UTF-8`"} {
		if !strings.Contains(string(data), fixed) {
			t.Errorf("docs/settings.md does not say %s", fixed)
		}
	}
}
