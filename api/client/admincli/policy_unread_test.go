package admincli

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kpm/launcher/journal"
)

// An answer without a file that is named, or lies there, is not what the service would
// say: scripts are told by the exit status, and people why.
func TestPoliciesThatCannotBeRead(t *testing.T) {
	root := t.TempDir()
	j := open(t, root)
	if err := errors.Join(j.Append(journal.Record{Type: journal.Opened, Request: "R"}), j.Close()); err != nil {
		t.Fatal(err)
	}
	good := policyFile(t, "good.json", policyText("a", "ALLOW", "*", "/usr/bin/id"))
	broken := filepath.Join(t.TempDir(), "broken.json")
	if err := os.WriteFile(broken, []byte("{"), 0o644); err != nil {
		t.Fatal(err)
	}
	missing := filepath.Join(root, "missing.json")
	var keys strings.Builder // more than a policy may have
	for i := range 300 {
		fmt.Fprintf(&keys, `, "Key%d": 1`, i)
	}
	half := policyFile(t, "half.json", policyText("c", "ALLOW", "*", "/usr/bin/id"), `{"PolicyId": "d"`+keys.String()+"}")
	for name, tc := range map[string]struct {
		args []string
		says string // that is said all the same
	}{
		"list":        {[]string{"list"}, "enforce  PrivilegeElevation"},
		"list --json": {[]string{"list", "--json"}, `"policy":"a"`},
		"show nobody": {[]string{"show", "b"}, ""},
		"explain":     {[]string{"explain", "--user", "nobody", "id"}, "ALLOW, by a"},
		"replay":      {[]string{"replay"}, "0 requests"},
	} {
		args := append([]string{"policy", "--root", root, "--policies", good}, tc.args...)
		want := exitOK
		if name == "show nobody" {
			want = exitUsage
		}
		if code, out, diag := do(t, args...); code != want || strings.Contains(diag, "may decide otherwise") {
			t.Errorf("%s: %d\n%s%s", name, code, out, diag)
		}
		for file, found := range map[string]string{missing: "no such file", broken: "no valid JSON", half: "keys"} {
			code, out, diag := do(t, append([]string{"policy", "--policies", file}, args[1:]...)...)
			if code != exitFault || !strings.Contains(out, tc.says) ||
				!strings.Contains(diag, "fault: "+file) || !strings.Contains(diag, found) || !strings.Contains(diag, "and may decide otherwise") {
				t.Errorf("%s, %s: %d\n%s%s", name, found, code, out, diag)
			}
		}
		if code, _, diag := do(t, append([]string{"policy", "--collections", missing}, args[1:]...)...); code != exitFault || !strings.Contains(diag, missing) {
			t.Errorf("%s, collections: %d %s", name, code, diag)
		}
	}
}

// What is applied is for this machine, wherever it was written: a slip in a name keeps a
// grant from anybody, or a DENY.
func TestApplyKnowsWhomThisMachineKnows(t *testing.T) {
	root := t.TempDir()
	if err := os.Chmod(root, 0o755); err != nil {
		t.Fatal(err)
	}
	target := filepath.Join(root, "Policies", "p.json")
	file := policyFile(t, "p.json", policyText("a", "DENY", "nobdoy", "/usr/bin/id"))
	for _, dry := range [][]string{{"--dry-run"}, nil} {
		out := tell(t, exitFault, append([]string{"policy", "apply", "--root", root, file}, dry...)...)
		if !strings.Contains(out, `found "nobdoy", whom this machine does not know, expected a user`) || !strings.Contains(out, "nothing was written") || exists(target) {
			t.Error(out)
		}
	}
	tell(t, exitOK, "policy", "lint", file) // it may be for another machine
	if out := tell(t, exitOK, "policy", "apply", "--root", root, "--force", file); !strings.Contains(out, target+": added") {
		t.Error(out)
	}
	known := policyFile(t, "p.json", policyText("a", "DENY", "nobody", "/usr/bin/id"))
	tell(t, exitOK, "policy", "apply", "--root", root, known)
}
