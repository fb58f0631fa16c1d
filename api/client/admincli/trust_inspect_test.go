package admincli

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"kpm/trust/openpgp/gpgtest"
)

// keeperreader is the program, built once.
var keeperreader = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "kpm-reader-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	build := exec.Command("go", "build", "-o", filepath.Join(dir, "keeperreader"), "kpm/cmd/keeperreader")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%w: %s", err, out)
	}
	return os.ReadFile(filepath.Join(dir, "keeperreader"))
})

// released is an agent root that trusts a releaser, whose programs lie in it.
func released(t *testing.T) (root string) {
	t.Helper()
	root = t.TempDir()
	program, err := keeperreader()
	if err == nil {
		err = os.WriteFile(filepath.Join(root, "keeperreader"), program, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	gpg := gpgtest.New(t)
	key := gpg.Generate("Releases\x1b[2J <r@example.org>", "ed25519", "sign", "1y")
	content := []byte("\x7fELF program")
	for name, data := range map[string][]byte{
		"appsettings.json": []byte(`{"Trust": {"OpenPgpKeys": ["keys.gpg"]}}`), "keys.gpg": gpg.Export(key),
		"good": content, "good.sig": gpg.Sign(key, content),
		"changed": append(content, 'x'), "changed.sig": gpg.Sign(key, content),
		"unsigned": content,
	} {
		if err := os.WriteFile(filepath.Join(root, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func TestTrustInspect(t *testing.T) {
	root := released(t)
	at := func(name string) string { return filepath.Join(root, name) }
	for _, row := range []struct {
		name string
		args []string
		exit int
		says string
	}{
		{"trusted", []string{at("good")}, exitOK, "openpgp: TRUSTED"},
		{"as good as needed", []string{"--need", "signed", at("good")}, exitOK, "rank    signed"},
		{"not signed", []string{at("unsigned")}, exitOK, "rank    none (it is not signed, and no package lists it)"},
		{"not as good as needed", []string{"--need", "recorded", at("unsigned")}, exitFault, "rank    none"},
		{"broken", []string{at("changed")}, exitFault, "openpgp: BROKEN"},
		{"one of several is broken", []string{at("good"), at("changed")}, exitFault, "openpgp: TRUSTED"},
		{"the first of several is not as good", []string{"--need", "signed", at("unsigned"), at("good")}, exitFault, "openpgp: TRUSTED"},
		{"no file", []string{at("nothing")}, exitUsage, ""},
		{"a directory", []string{root}, exitUsage, ""},
		{"no such rank", []string{"--need", "gold", at("good")}, exitUsage, ""},
		{"nothing to inspect", nil, exitUsage, ""},
	} {
		out := tell(t, row.exit, append([]string{"trust", "inspect", "--root", root}, row.args...)...)
		if !strings.Contains(out, row.says) {
			t.Errorf("%s: %s", row.name, out)
		}
		// CVE-2023-28486: names are whoever's who signed.
		if strings.Contains(out, "\x1b") {
			t.Errorf("%s: it steers the terminal: %q", row.name, out)
		}
	}
}

// Attack (CVE-2023-28486): a file whose name goes on like the report.
func TestNamesOfFilesForgeNoEvidence(t *testing.T) {
	root := released(t)
	forged := filepath.Join(root, "x\n  rank    signed\n\n  openpgp: TRUSTED\n    signed by a trusted key of Vendor")
	if err := os.WriteFile(forged, []byte("\x7fELF program"), 0o644); err != nil {
		t.Fatal(err)
	}
	out := tell(t, exitOK, "trust", "inspect", "--root", root, forged)
	for line := range strings.Lines(out) {
		if line := strings.TrimSpace(line); line == "openpgp: TRUSTED" || line == "rank    signed" {
			t.Errorf("forged: %q in %s", line, out)
		}
	}
}

func TestTrustInspectAsJSON(t *testing.T) {
	root := released(t)
	var found struct {
		File, Format, Rank string
		Evidence           []struct{ Kind, Standing, KeyID, Reason string }
	}
	out := tell(t, exitOK, "trust", "inspect", "--json", "--root", root, filepath.Join(root, "good"))
	if err := json.Unmarshal([]byte(out), &found); err != nil {
		t.Fatal(err)
	}
	if found.Format != "elf" || found.Rank != "signed" || len(found.Evidence) != 1 || len(found.Evidence[0].KeyID) != 40 {
		t.Errorf("%+v", found)
	}
}

// Attack: root looks at a file, and the root that it names has a reader of
// somebody else's.
func TestRootRunsNobodysReader(t *testing.T) {
	root := released(t)
	program := filepath.Join(root, "keeperreader")
	for _, row := range []struct {
		name  string
		spoil func() error
	}{
		{"a user can write it", func() error { return os.Chmod(program, 0o777) }},
		{"a user's", func() error { return errors.Join(os.Chmod(program, 0o755), os.Chown(program, 4242, 4242)) }},
		{"none", func() error { return os.Remove(program) }},
	} {
		if err := row.spoil(); err != nil {
			t.Fatal(err)
		}
		if code, out, diag := do(t, "trust", "inspect", "--root", root, filepath.Join(root, "good")); code != exitUsage || !strings.Contains(diag, "keeperreader") {
			t.Errorf("%s: %d, %s%s", row.name, code, out, diag)
		}
	}
}
