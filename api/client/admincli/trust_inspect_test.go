package admincli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kpm/trust/openpgp/gpgtest"
)

// released is an agent root that trusts a releaser, whose programs lie in it.
func released(t *testing.T) (root string) {
	t.Helper()
	root = t.TempDir()
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
