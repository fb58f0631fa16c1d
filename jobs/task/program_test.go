package task

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"kpm/core"
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

// A file that scriptType gives to an interpreter is one of its arguments, and as protected
// as the interpreter.
func TestScriptTypes(t *testing.T) {
	layout := settings.At(t.TempDir(), "")
	for name, suffix := range map[string]string{"report": ".sh", "check": ".ps1"} {
		path := layout.JobBin(name, suffix)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, nil, 0o755)); err != nil {
			t.Fatal(err)
		}
	}
	host := &programs{layout: layout, platform: core.Linux}
	for _, tc := range []struct {
		command, kind string
		argv          []string
		err           string
	}{
		{"report", "shell", []string{"/usr/bin/sh", layout.JobBin("report", ".sh")}, ""},
		{"report", "Bash", []string{"/usr/bin/bash", layout.JobBin("report", ".sh")}, ""},
		{"report", "Auto", nil, "there is no program report"},
		{"check", "PowerShell", nil, "scriptType PowerShell: there is no pwsh on this machine"},
		{"true", "Python", nil, "there is no program true"}, // none of the system's
		{"true", "", []string{"/usr/bin/true"}, ""},
	} {
		script, known := findScriptType(tc.kind)
		if !known {
			t.Fatal(tc.kind)
		}
		p := program{host: host, command: tc.command, script: script}
		path, err := p.find()
		var argv []string
		if err == nil {
			_, _, argv, err = p.commandLine(path)
		}
		if !slices.Equal(argv, tc.argv) || (err != nil) != (tc.err != "") || err != nil && !strings.Contains(err.Error(), tc.err) {
			t.Errorf("%s %s: %q %v", tc.command, tc.kind, argv, err)
		}
	}
	if _, known := findScriptType("Cobol"); known {
		t.Error("Cobol is known")
	}
}
