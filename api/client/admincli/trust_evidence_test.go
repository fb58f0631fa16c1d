package admincli

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"kpm/core"
)

// signature is evidence that has everything that evidence may have.
func signature() core.Evidence {
	from := time.Date(2025, 1, 2, 23, 0, 0, 0, time.UTC)
	certificate := func(name string) core.Certificate {
		return core.Certificate{Subject: "CN=" + name, Issuer: "CN=unused", Serial: "0a", SHA1: name + "1", SHA256: name + "256", SPKI: name + "key",
			NotBefore: from, NotAfter: from.AddDate(1, 0, 0)}
	}
	return core.Evidence{
		Kind: core.KindAuthenticode, Rank: core.RankSigned, Standing: core.Trusted, Reason: "it verifies", Signer: "Vendor", Place: "signature 1 of 2",
		Chain: []core.Certificate{certificate("leaf"), certificate("root")}, KeyID: "ab", Identifier: "org.tool", TeamID: "T1",
		Digest: "SHA-256", SignedAt: from.In(time.FixedZone("", 3600)), TimeStamp: "rfc3161",
		Checks: []core.Check{{Name: "file digest", Outcome: core.Passed}, {Name: "revocation", Outcome: core.NotChecked, Detail: "no list"}},
	}
}

// What a policy may name (sha1, spki, ca, team, key) is shown as it is written
// there.
func TestAllThatIsKnownOfASignature(t *testing.T) {
	var b strings.Builder
	explain(&b, signature())
	const want = `
  authenticode: TRUSTED
    it verifies
    worth       signed
    signer      Vendor
    which       signature 1 of 2
    identifier  org.tool
    team        team:T1
    key         key:ab
    digest      SHA-256
    signed      2025-01-02T23:00:00Z (rfc3161)
    certificate CN=leaf
      valid     2025-01-02 to 2026-01-02, serial 0a
      sha1      leaf1
      sha256    leaf256
      key       spki:leafkey
    issued by   CN=root
      valid     2025-01-02 to 2026-01-02, serial 0a
      key       ca:rootkey
    check       file digest: passed
    check       revocation: not checked (no list)
`
	if b.String() != want {
		t.Errorf("%s\nwant%s", b.String(), want)
	}
}

// CVE-2020-12614: a name that nobody has vouched for is a claim.
func TestWhatNobodySignedIsAClaim(t *testing.T) {
	for standing, title := range map[core.Standing]string{core.Untrusted: "UNTRUSTED", core.Broken: "BROKEN"} {
		var b strings.Builder
		explain(&b, core.Evidence{Kind: core.KindOpenPGP, Rank: core.RankSigned, Standing: standing, Reason: "because", Signer: "Vendor"})
		want := "\n  openpgp: " + title + "\n    because\n    worth       nothing; signed if it were trusted\n    claims      to be of Vendor\n"
		if b.String() != want {
			t.Errorf("%s, want %s", b.String(), want)
		}
	}
}

// Attack (CVE-2023-28486), in every field that a file fills in.
func TestNoFieldOfEvidenceForgesALine(t *testing.T) {
	plain, hostile := signature(), signature()
	spoil(reflect.ValueOf(&hostile).Elem())
	var lines [2]int
	for i, e := range []core.Evidence{plain, hostile} {
		var b bytes.Buffer
		found := inspection{File: "f", Rank: core.RankNone, Reason: e.Reason, Provenance: core.Provenance{Format: "pe", Evidence: []core.Evidence{e}}}
		if err := printInspection(&b, found, false); err != nil {
			t.Fatal(err)
		}
		lines[i] = strings.Count(b.String(), "\n")
		if strings.ContainsAny(b.String(), "\x1b\u202e") {
			t.Errorf("%q", b.String())
		}
	}
	if lines[0] != lines[1] || lines[0] < 20 {
		t.Errorf("%d lines, and %d of a hostile file", lines[0], lines[1])
	}
}

// spoil puts a line break and more into every string of v. The kind of evidence
// is one of ours.
func spoil(v reflect.Value) {
	switch {
	case v.Type() == reflect.TypeFor[time.Time]():
	case v.Kind() == reflect.String:
		v.SetString(v.String() + "\n  openpgp: TRUSTED\x1b[2J\u202e")
	case v.Kind() == reflect.Slice:
		for i := range v.Len() {
			spoil(v.Index(i))
		}
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).Name != "Kind" {
				spoil(v.Field(i))
			}
		}
	}
}

// Whoever is no administrator has no keeperreader to run: files are read in
// their own process, and judged alike.
func TestUsersInspectWithoutTheReader(t *testing.T) {
	root := released(t)
	if err := os.Remove(filepath.Join(root, "keeperreader")); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		code           int
		standing, rank string
	}{"good": {exitOK, "trusted", "signed"}, "changed": {exitFault, "broken", "none"}, "unsigned": {exitOK, "", "none"}} {
		code, out, diag := doOn(byUser(), "trust", "inspect", "--json", "--root", root, filepath.Join(root, name))
		var found struct {
			Rank, Reason string
			Evidence     []struct{ Standing string }
		}
		if err := json.Unmarshal([]byte(out), &found); err != nil || code != c.code || diag != "" || found.Rank != c.rank {
			t.Errorf("%s: %d %q %q (%v)", name, code, out, diag, err)
			continue
		}
		// Why it is no higher is said of those only that could be higher.
		if (found.Reason == "") != (c.rank == "signed") || (len(found.Evidence) == 0) != (c.standing == "") ||
			c.standing != "" && found.Evidence[0].Standing != c.standing {
			t.Errorf("%s: %+v", name, found)
		}
	}
}

func TestWhatCannotBeInspected(t *testing.T) {
	root := released(t)
	good := filepath.Join(root, "good")
	for _, c := range []struct {
		name, says string
		out        bool // of the files before it
		args       []string
	}{
		{"the first of two", "stat " + root + "/none: no such file or directory", true, []string{root + "/none", good}},
		{"a directory", root + ": it is a directory, expected a file: name those in it", true, []string{root, good}},
		{"a device", "/dev/null: it is no regular file (Dc---------), and only those are signed", false, []string{"/dev/null"}},
		{"the second of two", "stat " + root + "/none: no such file or directory", true, []string{good, root + "/none"}},
		{"a rank that there is not", "--need gold: expected none, recorded, packaged or signed", false, []string{"--need", "gold", good}},
		{"a rank in other letters", "--need SIGNED: expected none, recorded, packaged or signed", false, []string{"--need", "SIGNED", good}},
		{"nothing", "requires at least 1 arg(s), only received 0", false, nil},
	} {
		code, out, diag := do(t, append([]string{"trust", "inspect", "--root", root}, c.args...)...)
		if code != exitUsage || (out != "") != c.out || diag != "KeeperAdminCLI: "+c.says+"\n" {
			t.Errorf("%s: %d %q %q", c.name, code, out, diag)
		}
	}
}

// Whom to trust is said by files. One that is missing trusts nobody, and must not
// look as if the file were unsigned.
func TestInspectNeedsWhomToTrust(t *testing.T) {
	root := released(t)
	keys := filepath.Join(root, "keys.gpg")
	for _, c := range []struct {
		name  string
		spoil func() error
	}{
		{"others can write it", func() error { return os.Chmod(keys, 0o666) }},
		{"not there", func() error { return os.Remove(keys) }},
	} {
		if err := c.spoil(); err != nil {
			t.Fatal(err)
		}
		code, out, diag := do(t, "trust", "inspect", "--root", root, filepath.Join(root, "good"))
		if code != exitUsage || out != "" || !strings.Contains(diag, keys) {
			t.Errorf("%s: %d %q %q", c.name, code, out, diag)
		}
	}
}
