package task

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kpm/settings"
)

func TestWhereAProgramIsFound(t *testing.T) {
	layout := settings.At(t.TempDir(), "")
	elsewhere := filepath.Join(layout.Root(), "elsewhere")
	for _, path := range []string{elsewhere, layout.JobBin("mytool", ""), filepath.Join(layout.Jobs(), "bin/true/true")} {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, tc := range []struct{ command, path, want, fail string }{
		{"mytool", "", layout.JobBin("mytool", ""), ""},
		{"true", "", layout.JobBin("true", ""), ""}, // before /usr/bin/true
		{"env", "", "/usr/bin/env", ""},
		{"mytool", elsewhere, elsewhere, ""},
		{"no-such-tool", "", "", "there is no program no-such-tool: install it as " + layout.JobBin("no-such-tool", "")},
		{"mytool", "/absent/mytool", "", "install it as /absent/mytool"},
		{"mytool", "/", "", "no program"},
	} {
		p := program{host: &programs{layout: layout}, command: tc.command, path: tc.path}
		got, err := p.find()
		if got != tc.want || (err != nil) != (tc.fail != "") || err != nil && !strings.Contains(err.Error(), tc.fail) {
			t.Errorf("%s %s: got %q, %v", tc.command, tc.path, got, err)
		}
	}
}
