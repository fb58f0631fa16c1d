//go:build linux

package corpus

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"kpm/vmtests/agent"
)

// verdict is what trust inspect says of a file.
type verdict struct {
	File, Format, Rank string
	Evidence           []struct {
		Kind, Standing, Reason, Signer, TeamID, KeyID, Digest, Place string
		SignedAt                                                     time.Time
		Chain                                                        []struct{ Subject string }
		Checks                                                       []struct{ Name, Outcome, Detail string }
	}
}

// inspector is the staged agent, which trusts the anchors. The files are read by
// its keeperreader alone.
type inspector struct{ agent *agent.Agent }

func newInspector(t *testing.T) inspector {
	t.Helper()
	staged, err := agent.Staged()
	if err != nil {
		t.Fatal(err)
	}
	a, err := agent.New(staged, filepath.Join(t.TempDir(), "kpm"), nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"anchors.pem":      anchorsPEM(t, ""),
		"appsettings.json": `{"Trust": {"Roots": ["anchors.pem"], "TimeStampRoots": ["anchors.pem"], "AppleRoots": ["anchors.pem"]}}`,
	} {
		if err := a.Write(name, text); err != nil {
			t.Fatal(err)
		}
	}
	return inspector{a}
}

func (i inspector) inspect(t *testing.T, paths ...string) []verdict {
	t.Helper()
	var found []verdict
	for some := range slices.Chunk(paths, 500) {
		cmd := exec.CommandContext(t.Context(), filepath.Join(i.agent.Root, "KeeperAdminCLI"),
			append([]string{"trust", "inspect", "--json", "--root", i.agent.Root}, some...)...)
		var diagnostics strings.Builder
		cmd.Stderr = &diagnostics
		out, err := cmd.Output()
		if diagnostics.Len() > 0 {
			t.Fatalf("%v: %s", err, diagnostics.String())
		}
		for lines := json.NewDecoder(bytes.NewReader(out)); lines.More(); {
			var v verdict
			if err := lines.Decode(&v); err != nil {
				t.Fatal(err)
			}
			found = append(found, v)
		}
	}
	if len(found) != len(paths) {
		t.Fatalf("%d verdicts about %d files", len(found), len(paths))
	}
	return found
}

// paths fetches the packages and returns where each file lies.
func paths(t *testing.T) []string {
	t.Helper()
	var all []string
	for _, f := range files() {
		dir, err := f.of.Fetch(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, filepath.Join(dir, f.path))
	}
	return all
}

// anchorsPEM looks in the files for the anchors, or for those of a name. Nothing
// is parsed: the digest of the bytes is known.
func anchorsPEM(t *testing.T, only string) string {
	t.Helper()
	found := map[string][]byte{}
	for _, path := range paths(t) {
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for at := 0; ; at++ {
			next := bytes.Index(content[at:], []byte{0x30, 0x82})
			if next < 0 || len(content)-at-next < 16 {
				break
			}
			at += next
			size := int(binary.BigEndian.Uint16(content[at+2:])) + 4
			if size > len(content)-at || content[at+4] != 0x30 || content[at+5] != 0x82 {
				continue
			}
			sum := sha256.Sum256(content[at : at+size])
			if id := hex.EncodeToString(sum[:]); anchors[id] != "" {
				found[id] = content[at : at+size]
			}
		}
	}
	var b strings.Builder
	for id, name := range anchors {
		if !strings.Contains(name, only) {
			continue
		}
		if found[id] == nil {
			t.Fatalf("no file brings %s along", name)
		}
		if err := pem.Encode(&b, &pem.Block{Type: "CERTIFICATE", Bytes: found[id]}); err != nil {
			t.Fatal(err)
		}
	}
	return b.String()
}

func TestRealFiles(t *testing.T) {
	all := paths(t)
	for i, v := range newInspector(t).inspect(t, all...) {
		f := files()[i]
		t.Run(f.of.Name+" "+filepath.Base(f.path), func(t *testing.T) {
			var standings []string
			stamped := ""
			for _, e := range v.Evidence {
				standings = append(standings, e.Standing)
				if e.Standing != trusted {
					continue
				}
				if !strings.Contains(e.Chain[0].Subject, f.signer) || e.TeamID != f.team {
					t.Errorf("by %s of team %q, want %s of %q", e.Chain[0].Subject, e.TeamID, f.signer, f.team)
				}
				if !e.SignedAt.IsZero() {
					stamped = e.SignedAt.UTC().Format(time.DateOnly)
				}
			}
			if f.stamped == someDay && stamped != "" {
				stamped = someDay
			}
			// Trusted evidence comes first; which signature is which is tested by name.
			slices.Sort(standings)
			want := slices.Sorted(slices.Values(f.signatures))
			if v.Format != f.format || !slices.Equal(standings, want) || stamped != f.stamped {
				t.Errorf("%s, %v, stamped %q; want %s, %v, %q\n%+v", v.Format, standings, stamped, f.format, want, f.stamped, v.Evidence)
			}
			if (v.Rank == "signed") != slices.Contains(f.signatures, trusted) {
				t.Errorf("rank %s", v.Rank)
			}
		})
	}
}

// peer runs another verifier as nobody: the files are strangers'.
func peer(t *testing.T, argv ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "setpriv", append([]string{"--reuid=65534", "--regid=65534", "--clear-groups", "--"}, argv...)...)
	out, err := cmd.CombinedOutput()
	if _, failed := err.(*exec.ExitError); err != nil && !failed {
		t.Fatal(err)
	}
	return fmt.Sprintf("%s\nexit: %v", out, err)
}
