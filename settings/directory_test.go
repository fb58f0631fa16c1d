package settings

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestReadDirectory(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"b.json": `{"id": "b"}`, "a.json": `{`, "long.json": `{"id": "` + strings.Repeat("x", 100) + `"}`,
		"notes.txt": "x", ".json": "{}", "c.json.bak": "{}",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "bin.json"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("b.json", filepath.Join(dir, "link.json")); err != nil {
		t.Fatal(err)
	}
	entries, err := ReadDirectory(dir, 50, readAnything)
	if err != nil {
		t.Fatal(err)
	}
	want := []struct {
		id     string
		broken bool
	}{{"a", true}, {"b", false}, {"link", true}, {"long", true}}
	if len(entries) != len(want) {
		t.Fatalf("got %d entries: %+v", len(entries), entries)
	}
	for i, w := range want {
		if entries[i].ID != w.id || (entries[i].Err != nil) != w.broken {
			t.Errorf("entry %d: got %s, %v; want %s, broken %v", i, entries[i].ID, entries[i].Err, w.id, w.broken)
		}
	}
}

func TestReadDirectoryThatIsNotThere(t *testing.T) {
	if entries, err := ReadDirectory(filepath.Join(t.TempDir(), "absent"), 50, readAnything); err != nil || len(entries) != 0 {
		t.Errorf("got %v, %v", entries, err)
	}
}
