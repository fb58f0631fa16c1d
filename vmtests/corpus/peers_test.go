//go:build linux

package corpus

import (
	"encoding/binary"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	claimedDigest    = regexp.MustCompile(`(?m)^Current message digest +: ([0-9A-F]+)`)
	calculatedDigest = regexp.MustCompile(`(?m)^Calculated message digest +: ([0-9A-F]+)`)
)

// What osslsigncode, sbverify and relic say of the same bytes: that the file is
// the one that was signed, how many signatures it has, and by whom.
func TestOthersSeeTheSame(t *testing.T) {
	all := paths(t)
	found := newInspector(t).inspect(t, all...)
	shared := t.TempDir()
	// The directories that a test is given are its own user's alone.
	for _, dir := range []string{shared, filepath.Dir(shared)} {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	bundle := filepath.Join(shared, "anchors.pem")
	debian := filepath.Join(shared, "debian.pem")
	for path, content := range map[string]string{bundle: anchorsPEM(t, ""), debian: anchorsPEM(t, "Debian")} {
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for i, f := range files() {
		v := found[i]
		t.Run(f.of.Name+" "+filepath.Base(f.path), func(t *testing.T) {
			switch {
			case f.of == shim: // docs/trust.md, "osslsigncode 2.9": several WIN_CERTIFICATEs in one table
				if said := peer(t, "osslsigncode", "verify", "-CAfile", bundle, all[i]); !strings.Contains(said, "Corrupted attribute certificate table") {
					t.Errorf("osslsigncode reads what it did not: %s", said)
				}
				if said := peer(t, "sbverify", "--list", all[i]); strings.Count(said, "image signature issuers:") != len(f.signatures) {
					t.Errorf("sbverify: %s", said)
				}
			case f.format == "pe":
				said := peer(t, "osslsigncode", "verify", "-CAfile", bundle, "-TSA-CAfile", bundle, all[i])
				claimed, calculated := claimedDigest.FindAllStringSubmatch(said, -1), calculatedDigest.FindAllStringSubmatch(said, -1)
				if len(claimed) != len(f.signatures) || len(calculated) != len(claimed) {
					t.Fatalf("osslsigncode sees %d signatures, we %d\n%s", len(claimed), len(f.signatures), said)
				}
				for j := range claimed {
					if claimed[j][1] != calculated[j][1] {
						t.Errorf("osslsigncode: signature %d is of another file\n%s", j+1, said)
					}
				}
				if !strings.Contains(said, strings.TrimPrefix(f.signer, "CN=")) {
					t.Errorf("osslsigncode sees another signer\n%s", said)
				}
			case f.format == "mach-o":
				relic(t, all[i], f, v)
			}
			if f.of.From == "apt" && !strings.Contains(f.path, "shim") {
				if said := peer(t, "sbverify", "--cert", debian, all[i]); !strings.Contains(said, "Signature verification OK") {
					t.Errorf("sbverify: %s", said)
				}
			}
		})
	}
}

// relic verifies each image by itself, with what go-macho reads of it.
func relic(t *testing.T, path string, f file, v verdict) {
	t.Helper()
	tool := filepath.Join(t.TempDir(), "macho-signer")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", tool, ".")
	build.Dir = filepath.Join("..", "macho-signer")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, image := range images(content) {
		alone := filepath.Join(t.TempDir(), "image")
		if err := os.WriteFile(alone, image, 0o644); err != nil {
			t.Fatal(err)
		}
		out, err := exec.CommandContext(t.Context(), tool, "verify", alone).Output()
		if err != nil {
			t.Fatal(err)
		}
		var theirs struct {
			Error, Subject, TeamID string
			Unsigned               bool
		}
		if err := json.Unmarshal(out, &theirs); err != nil {
			t.Fatal(err)
		}
		signed := slices.Contains(f.signatures, trusted)
		if signed && (theirs.Error != "" || theirs.Unsigned || !strings.Contains(theirs.Subject, f.signer) || theirs.TeamID != f.team) {
			t.Errorf("relic: %+v; we: %+v", theirs, v.Evidence)
		}
		if f.signatures == nil && !theirs.Unsigned {
			t.Errorf("relic sees a signature: %+v", theirs)
		}
	}
}

// images are those of a fat file, or the one that content is.
func images(content []byte) [][]byte {
	be := binary.BigEndian
	if be.Uint32(content) != 0xcafebabe {
		return [][]byte{content}
	}
	var all [][]byte
	for i := range int(be.Uint32(content[4:])) {
		entry := content[8+20*i:]
		all = append(all, content[be.Uint32(entry[8:]):][:be.Uint32(entry[12:])])
	}
	return all
}
