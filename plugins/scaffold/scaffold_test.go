package scaffold

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kpm/core"
	"kpm/plugins"
	"kpm/settings"
)

// Every language has a sound plugin file, a program and a test, and nothing of the
// template is left in it. That they run is shown in vmtests/e2e (TestScaffolds).
func TestEveryLanguage(t *testing.T) {
	for _, language := range Languages() {
		dir := filepath.Join(t.TempDir(), "My-Bridge")
		p := Plugin{Name: "My-Bridge", Language: language, SDK: "/src/kpm"}
		if err := p.Write(dir); err != nil {
			t.Fatal(err)
		}
		err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			text, err := os.ReadFile(path)
			if strings.Contains(path+string(text), "@NAME@") || strings.Contains(string(text), "@LOWER@") || strings.Contains(string(text), "@SDK@") {
				t.Errorf("%s has a token left", path)
			}
			info, _ := entry.Info()
			if strings.HasPrefix(string(text), "#!") != (info.Mode()&0o111 != 0) {
				t.Errorf("%s has mode %v", path, info.Mode())
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(filepath.Join(dir, "My-Bridge.json"))
		if err != nil || !json.Valid(text) {
			t.Fatalf("%s: %v", language, err)
		}
		doc, err := settings.ParseDocument("My-Bridge.json", text)
		if err != nil {
			t.Fatal(err)
		}
		m, err := plugins.ParseManifest("My-Bridge", doc, core.Linux)
		if err != nil || m.Disabled != "" || m.Topic != "My-Bridge" || !m.KeepSession {
			t.Errorf("%s: %+v, %v", language, m, err)
		}
		if p.Steps() == "" || strings.Contains(p.Steps(), "@") {
			t.Errorf("%s: %q", language, p.Steps())
		}
		if err := p.Write(dir); err == nil || !strings.Contains(err.Error(), "is there already") {
			t.Errorf("%s: written twice: %v", language, err)
		}
	}
	if err := (Plugin{Name: "A", Language: "cobol"}).Write(t.TempDir() + "/A"); err == nil || !strings.Contains(err.Error(), "csharp, go, node, python, shell") {
		t.Errorf("%v", err)
	}
}
