package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A program that somebody adds to cmd/ is packaged, on the systems that it builds for.
func TestEveryProgramIsPackaged(t *testing.T) {
	folders, err := filepath.Glob("../cmd/*/main*.go")
	if err != nil || len(folders) < len(programs) {
		t.Fatal(folders, err)
	}
	var built, listed []string
	for _, f := range folders {
		built = append(built, filepath.Base(filepath.Dir(f)))
	}
	for _, p := range programs {
		listed = append(listed, p.name)
		if (p.manual == "") != (p.about == "") {
			t.Errorf("%s: a manual page has a section and a line", p.name)
		}
	}
	slices.Sort(built)
	slices.Sort(listed)
	if built = slices.Compact(built); !slices.Equal(built, listed) {
		t.Errorf("in cmd are %q, in the table %q", built, listed)
	}
}

// Scripts know the programs from the table, and nothing is left to fill in.
func TestScriptsAreFilledIn(t *testing.T) {
	r := &release{version: "1.2.3"}
	for _, c := range []struct{ path, system, says string }{
		{"linux/postinstall.sh", "linux", " Plugins/bin/KeeperPolicy/ Plugins/bin/KeeperLogger/ Jobs/bin/"},
		{"linux/preinstall.sh", "linux", "1.2.3 reads up to format 1"},
		{"linux/preremove.sh", "linux", ""},
		{"linux/postremove.sh", "linux", ""},
		{"linux/archive/install.sh", "linux", "for name in KeeperAdminCLI keeperAgent keepersudo Plugins/bin/KeeperPolicy/KeeperPolicy;"},
		{"darwin/archive/install.sh", "darwin", "for name in KeeperAdminCLI keeperAgent keepersudo Plugins/bin/KeeperPolicy/KeeperPolicy;"},
	} {
		text, err := os.ReadFile(c.path)
		if err != nil {
			t.Fatal(err)
		}
		filled := string(r.fill(text, c.system))
		if !strings.Contains(filled, c.says) || strings.Contains(filled, "@F") || strings.Contains(filled, "@ON") || strings.Contains(filled, "@V") {
			t.Errorf("%s:\n%s", c.path, filled)
		}
		path := filepath.Join(t.TempDir(), filepath.Base(c.path))
		if err := os.WriteFile(path, []byte(filled), 0o644); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.CommandContext(t.Context(), "shellcheck", path).CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
	}
}
