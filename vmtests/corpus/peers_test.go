//go:build linux

package corpus

import (
	"encoding/binary"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// What osslsigncode, sbverify and relic say of the same bytes by the same
// anchors: whether each signature is trusted, who signed, and when. Where one
// says something else, the file names a row of docs/trust.md.
func TestOthersSeeTheSame(t *testing.T) {
	all := paths(t)
	found := newInspector(t).inspect(t, all...)
	given := map[string]string{"anchors.pem": explicitly(t, anchorsPEM(t, "")), "apple.pem": anchorsPEM(t, "Apple")}
	for _, ca := range []string{"Debian", "UEFI CA 2011", "UEFI CA 2023"} {
		given[ca] = anchorsPEM(t, ca)
	}
	shared := published(t, given)
	tool := buildMachoSigner(t)
	for i, f := range files() {
		v := found[i]
		t.Run(f.of.Name+" "+filepath.Base(f.path), func(t *testing.T) {
			same := true
			switch f.format {
			case "pe", "msi", "cab", "script", "catalog":
				same = sameSignatures(t, f, v, osslsigncode(t, filepath.Join(shared, "anchors.pem"), all[i]))
			case "mach-o":
				same = relic(t, tool, filepath.Join(shared, "apple.pem"), all[i], f, v)
			}
			if f.of.From == "apt" {
				sbverify(t, shared, all[i], f)
			}
			if same != (f.differs == "") {
				t.Errorf("same verdict: %v; docs/trust.md says why not: %q", same, f.differs)
			}
		})
	}
}

// sameSignatures compares signature by signature, in the file's order.
func sameSignatures(t *testing.T, f file, v verdict, others []theirs) bool {
	t.Helper()
	if len(others) != len(v.Evidence) {
		if f.differs == "" {
			t.Errorf("they see %d signatures, we %+v", len(others), v.Evidence)
		}
		return false
	}
	same := true
	for _, e := range v.Evidence {
		other := others[place(t, e.Place)]
		if len(e.Chain) == 0 || !strings.HasPrefix(e.Chain[0].Subject+",", "CN="+other.signer+",") {
			t.Errorf("they see %s as signer, we %+v", other.signer, e.Chain)
		}
		if e.Standing == trusted && !other.stamped.Equal(e.SignedAt.Truncate(time.Second)) {
			t.Errorf("they believe that it was signed at %s, we %s", other.stamped, e.SignedAt)
		}
		same = same && other.trusted == (e.Standing == trusted)
	}
	return same
}

var numbered = regexp.MustCompile(`^signature (\d+) of \d+`)

// place is the index of a signature within its file.
func place(t *testing.T, which string) int {
	t.Helper()
	number := numbered.FindStringSubmatch(which)
	if number == nil {
		return 0
	}
	n, err := strconv.Atoi(number[1])
	if err != nil {
		t.Fatal(err)
	}
	return n - 1
}

// sbverify finds a signature by each of the CAs that signed the boot program.
func sbverify(t *testing.T, shared, path string, f file) {
	t.Helper()
	by := []string{"Debian"}
	if f.of == shim {
		by = []string{"UEFI CA 2011", "UEFI CA 2023"}
		if said := peer(t, "sbverify", "--list", path); strings.Count(said, "image signature issuers:") != len(f.signatures) {
			t.Errorf("sbverify: %s", said)
		}
	}
	for _, ca := range by {
		if said := peer(t, "sbverify", "--cert", filepath.Join(shared, ca), path); !strings.Contains(said, "Signature verification OK") {
			t.Errorf("sbverify, %s: %s", ca, said)
		}
	}
}

func buildMachoSigner(t *testing.T) string {
	t.Helper()
	tool := filepath.Join(t.TempDir(), "macho-signer")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", tool, ".")
	build.Dir = filepath.Join("..", "macho-signer")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return tool
}

// relic verifies each image by itself, and its signer's chain, with what go-macho
// reads of it. It has an error for signatures that name nobody.
func relic(t *testing.T, tool, roots, path string, f file, v verdict) (same bool) {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	same = true
	slices := images(content)
	for _, image := range slices {
		alone := path
		if len(slices) > 1 {
			alone = filepath.Join(t.TempDir(), "image")
			if err := os.WriteFile(alone, image, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		out, err := exec.CommandContext(t.Context(), tool, "verify", "-roots", roots, alone).Output()
		if err != nil {
			t.Fatal(err)
		}
		var other struct {
			Error, Untrusted, Subject, TeamID string
			Unsigned                          bool
			SignedAt                          time.Time
		}
		if err := json.Unmarshal(out, &other); err != nil {
			t.Fatal(err)
		}
		if other.Unsigned != (len(v.Evidence) == 0) {
			t.Errorf("relic: %+v; we: %+v", other, v.Evidence)
		}
		if len(v.Evidence) == 0 {
			continue
		}
		e := v.Evidence[0]
		good := !other.Unsigned && other.Error == "" && other.Untrusted == ""
		if good && (!strings.Contains(other.Subject, e.Signer) || other.TeamID != e.TeamID) {
			t.Errorf("relic: %+v; we: %+v", other, e)
		}
		if e.Standing == trusted && other.SignedAt.After(e.SignedAt) { // a fat file is as old as its last slice
			t.Errorf("relic believes that it was signed at %s, we %s", other.SignedAt, e.SignedAt)
		}
		same = same && good == (e.Standing == trusted)
	}
	return same
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
