//go:build linux

package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"kpm/plugins/scaffold"
)

// TestTheCSharpScaffoldParses is what can be shown of it where no .NET can be
// installed: a grammar of C# finds no fault in its program, and would in another.
func TestTheCSharpScaffoldParses(t *testing.T) {
	dir := t.TempDir()
	written := filepath.Join(dir, "Bridge")
	if err := (scaffold.Plugin{Name: "Bridge", Language: "csharp"}).Write(written); err != nil {
		t.Fatal(err)
	}
	shellIn(t, dir, "npm init -y && npm install --ignore-scripts --no-audit --no-fund web-tree-sitter@0.27.1 tree-sitter-c-sharp@0.23.5")
	script, err := os.ReadFile("testdata/csharp/parse.mjs")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "parse.mjs"), script, 0o644); err != nil {
		t.Fatal(err)
	}
	parse := func(file string) string {
		cmd := exec.Command("node", "parse.mjs", file)
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return strings.TrimSpace(string(out))
	}
	program := filepath.Join(written, "Program.cs")
	if faults := parse(program); faults != "" {
		t.Error(faults)
	}
	text, err := os.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	broken := filepath.Join(dir, "Broken.cs")
	if err := os.WriteFile(broken, []byte(strings.Replace(string(text), "ConnectAsync(", "ConnectAsync((", 1)), 0o644); err != nil {
		t.Fatal(err)
	}
	if parse(broken) == "" {
		t.Error("a missing parenthesis was not found")
	}
}
