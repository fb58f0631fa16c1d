package macho

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kpm/core"
	"kpm/trust/trusttest"
)

// base is a small image that the foreign signer has signed as Developer ID.
func base(t testing.TB) []byte {
	t.Helper()
	return sign(t, tiny(little64(), arm64, nil), signing{team: trusttest.TeamID, flags: flagRuntime})
}

func TestForeignSignatures(t *testing.T) {
	a := anchors(t)
	layouts := map[string]struct {
		layout
		cpu uint32
	}{
		"64-bit little-endian": {little64(), arm64},
		"64-bit big-endian":    {layout{binary.BigEndian, true}, 0x01000000 | ppc},
		"32-bit little-endian": {layout{binary.LittleEndian, false}, i386},
		"32-bit big-endian":    {layout{binary.BigEndian, false}, ppc},
	}
	for name, l := range layouts {
		t.Run(name, func(t *testing.T) {
			e := want(t, a, sign(t, tiny(l.layout, l.cpu, nil), signing{team: trusttest.TeamID}), core.Trusted, "")
			if e.Identifier != "com.example.tool" || e.TeamID != trusttest.TeamID || e.Digest != "SHA-256" || e.Signer != "Example Developer" || len(e.Chain) != 3 || !e.SignedAt.IsZero() {
				t.Errorf("%+v", e)
			}
			for check, outcomeWanted := range map[string]string{
				"file digest": core.Passed, "signature": core.Passed, "team": core.Passed, "designated requirement": core.Passed,
				"hardened runtime": core.Weak, "library validation": core.Weak, "entitlements": core.Passed,
				"time-stamp": core.NotChecked, "notarisation": core.NotChecked,
			} {
				if got := outcome(e, check); got.Outcome != outcomeWanted {
					t.Errorf("check %q: %+v, want %s", check, got, outcomeWanted)
				}
			}
		})
	}
	for _, arch := range []string{"arm64", "amd64"} {
		for name, by := range map[string]*trusttest.Entity{"RSA": nil, "ECDSA": developerEC(t, trusttest.TeamID)} {
			t.Run(arch+" "+name, func(t *testing.T) {
				e := want(t, a, sign(t, program(t, arch), signing{by: by, team: trusttest.TeamID, flags: flagRuntime}), core.Trusted, "")
				if outcome(e, "hardened runtime").Outcome != core.Passed || outcome(e, "library validation").Outcome != core.Passed {
					t.Errorf("%+v", e.Checks)
				}
			})
		}
	}
	t.Run("SHA-384", func(t *testing.T) {
		if e := want(t, a, sign(t, program(t, "amd64"), signing{hash: "sha384"}), core.Trusted, ""); e.Digest != "SHA-384" {
			t.Errorf("digest %q", e.Digest)
		}
	})
}

func TestAppleSignsForTheTeamsWhoseProgramsItSells(t *testing.T) {
	store := trusttest.New(t).Get(trusttest.AppStore)
	signed := sign(t, tiny(little64(), arm64, nil), signing{by: store, team: "ANOTHERTM1"})
	if e := want(t, anchors(t), signed, core.Trusted, ""); e.TeamID != "ANOTHERTM1" {
		t.Errorf("team %q", e.TeamID)
	}
	a := anchors(t)
	a.AppleRoots = a.CodeRoots
	if e := want(t, a, signed, core.Untrusted, ""); e.TeamID != "" {
		t.Errorf("a store that nobody trusts names team %q", e.TeamID)
	}
}

func TestUnsignedIsNoEvidence(t *testing.T) {
	for name, data := range map[string][]byte{
		"the Go linker's amd64": program(t, "amd64"),
		"tiny":                  tiny(little64(), arm64, nil),
		"appended to":           append(program(t, "amd64"), "payload"...),
		"a script":              []byte("#!/bin/sh\nexit 0\n"),
		"empty":                 {},
		"a magic number alone":  {0xcf, 0xfa, 0xed, 0xfe},
		"a Java class":          {0xca, 0xfe, 0xba, 0xbe, 0, 0, 0, 61, 0, 0},
	} {
		if e := judge(t, anchors(t), data); len(e) != 0 {
			t.Errorf("%s: %+v", name, e)
		}
	}
}

func TestAdHocIsSignedByNobody(t *testing.T) {
	e := want(t, anchors(t), program(t, "arm64"), core.Untrusted, "signed by nobody (ad hoc, by the linker)")
	if e.Signer != "" || e.Chain != nil || outcome(e, "file digest").Outcome != core.Passed {
		t.Errorf("%+v", e)
	}
	changed := program(t, "arm64")
	changed[0x4000] ^= 1
	want(t, anchors(t), changed, core.Broken, "changed after it was signed")

	signed := base(t)
	want(t, anchors(t), forge(t, signed, recipe{adHoc: true, flags: flagAdHoc}), core.Untrusted, "signed by nobody (ad hoc)")
	empty := map[int][]byte{slotCMS: makeBlob(magicWrapper, nil), slotRequirements: makeSuperBlob(magicRequirements)} // as codesign -s - does
	want(t, anchors(t), forge(t, signed, recipe{adHoc: true, flags: flagAdHoc, blobs: empty}), core.Untrusted, "signed by nobody (ad hoc)")
	want(t, anchors(t), forge(t, signed, recipe{flags: flagAdHoc}), core.Untrusted, "calls itself signed by nobody")
}

func TestWhoSigned(t *testing.T) {
	pki := trusttest.New(t)
	for name, c := range map[string]struct {
		by, team, reason string
	}{
		"a stranger":                       {trusttest.Stranger, "", ""},
		"a self-signed certificate":        {trusttest.SelfSigned, "", ""},
		"a code signer who is not Apple's": {trusttest.Good, "", ""},
		"an expired certificate":           {trusttest.AppleExpired, "", ""},
		"a leaf without Apple's marker":    {trusttest.AppleNoLeaf, "", ""},
		"an issuer without Apple's marker": {trusttest.AppleNoCA, "", ""},
		"a team that is not the signer's":  {trusttest.DeveloperID, "ZZZZZZZZZZ", "claims a team"},
	} {
		t.Run(name, func(t *testing.T) {
			signed := sign(t, tiny(little64(), arm64, nil), signing{by: pki.Get(c.by), team: c.team})
			if e := want(t, anchors(t), signed, core.Untrusted, c.reason); e.Standing == core.Untrusted && c.team != "" && e.TeamID != "" {
				t.Errorf("the team %q stands", e.TeamID)
			}
		})
	}
	t.Run("a thumbprint needs no root", func(t *testing.T) {
		signed := sign(t, tiny(little64(), arm64, nil), signing{by: pki.Get(trusttest.DeveloperID), team: trusttest.TeamID})
		a := anchors(t)
		a.AppleRoots = nil
		want(t, a, signed, core.Untrusted, "")
		e := judge(t, anchors(t), signed)[0]
		a.Thumbprints = map[string]bool{e.Chain[0].SHA256: true}
		e = want(t, a, signed, core.Trusted, "")
		if got := outcome(e, "designated requirement"); got.Outcome != core.NotChecked {
			t.Errorf("without Apple's roots nobody can tell: %+v", got)
		}
	})
}

func TestWeakAlgorithmsAreNotTrusted(t *testing.T) {
	image := tiny(little64(), arm64, nil)
	e := want(t, anchors(t), sign(t, image, signing{hash: "sha1"}), core.Untrusted, "can be forged")
	if e.Digest != "SHA-1" {
		t.Errorf("digest %q", e.Digest)
	}
	signed := base(t)
	want(t, anchors(t), forge(t, signed, recipe{kinds: []uint8{1}}), core.Untrusted, "knows the file by SHA-1")
}

func TestKindsOfCodeDirectories(t *testing.T) {
	signed := base(t)
	for name, c := range map[string]struct {
		r      recipe
		digest string
	}{
		"SHA-1 and SHA-256, as for old systems": {recipe{kinds: []uint8{1, 2}}, "SHA-256"},
		"SHA-256 and SHA-1":                     {recipe{kinds: []uint8{2, 1}}, "SHA-256"},
		"all of them":                           {recipe{kinds: []uint8{1, 2, 4}}, "SHA-384"},
		"SHA-256 cut to 160 bits":               {recipe{kinds: []uint8{3}}, "SHA-256/160"},
		"pages of 16 KiB":                       {recipe{page: 14}, "SHA-256"},
		"one page":                              {recipe{page: -1}, "SHA-256"},
		"the oldest layout":                     {recipe{version: versionEarliest}, "SHA-256"},
		"with linkage":                          {recipe{version: versionLinkage}, "SHA-256"},
		"without attributes":                    {recipe{attributes: [][]byte{}}, "SHA-256"},
		"in BER, as codesign writes": {recipe{cms: func(der []byte) []byte {
			return trusttest.Tree(der).BER(func(n *trusttest.Node) bool { return n.ID == 0xa0 && len(n.Children) > 1 })
		}}, "SHA-256"},
	} {
		t.Run(name, func(t *testing.T) {
			if e := want(t, anchors(t), forge(t, signed, c.r), core.Trusted, ""); e.Digest != c.digest {
				t.Errorf("digest %q, want %q", e.Digest, c.digest)
			}
		})
	}
}

func TestTimeStamps(t *testing.T) {
	pki := trusttest.New(t)
	expired := sign(t, tiny(little64(), arm64, nil), signing{by: pki.Get(trusttest.AppleExpired)})
	at := pki.Now.Add(-2 * 365 * 24 * time.Hour).Truncate(time.Second)
	stamp := func(k trusttest.Token) []byte {
		return editMessage(t, expired, func(f *trusttest.Forgery) {
			if k.Over == nil {
				k.Over = f.Value().Body
			}
			f.AddUnsigned(trusttest.OIDToken, k.DER())
		})
	}
	e := want(t, anchors(t), stamp(trusttest.Token{Stamper: pki.Get(trusttest.Stamper), At: at}), core.Trusted, "")
	if !e.SignedAt.Equal(at) || e.TimeStamp != "rfc3161" || outcome(e, "time-stamp").Outcome != core.Passed {
		t.Errorf("signed at %v (%s), %v", e.SignedAt, e.TimeStamp, e.Checks)
	}
	want(t, anchors(t), stamp(trusttest.Token{Stamper: pki.Get(trusttest.Stamper), At: pki.Now}), core.Untrusted, "")
	e = want(t, anchors(t), stamp(trusttest.Token{Stamper: pki.Get(trusttest.StamperStray), At: at}), core.Untrusted, "")
	if !e.SignedAt.IsZero() {
		t.Errorf("a stranger's time-stamp proves %v", e.SignedAt)
	}
	want(t, anchors(t), stamp(trusttest.Token{Stamper: pki.Get(trusttest.Stamper), At: at, Over: []byte("another signature")}), core.Broken, "time-stamp")

	t.Run("by OpenSSL", func(t *testing.T) {
		signed := editMessage(t, base(t), func(f *trusttest.Forgery) {
			f.AddUnsigned(trusttest.OIDToken, opensslToken(t, pki, f.Value().Body))
		})
		if e := want(t, anchors(t), signed, core.Trusted, ""); e.SignedAt.IsZero() {
			t.Errorf("%v", e.Checks)
		}
	})
}

// opensslToken has openssl ts stamp a signature value.
func opensslToken(t *testing.T, pki *trusttest.PKI, over []byte) []byte {
	t.Helper()
	dir := t.TempDir()
	value, query, token := filepath.Join(dir, "value"), filepath.Join(dir, "query"), filepath.Join(dir, "token")
	save(t, value, over)
	for _, args := range [][]string{
		{"ts", "-query", "-data", value, "-sha256", "-cert", "-out", query},
		{"ts", "-reply", "-config", pki.StampConfig(t, trusttest.Stamper), "-queryfile", query, "-token_out", "-out", token},
	} {
		if out, err := exec.Command("openssl", args...).CombinedOutput(); err != nil {
			t.Fatalf("openssl %v: %v\n%s", args, err, out)
		}
	}
	der, err := os.ReadFile(token)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// short is a file that has shrunk since its size was asked for.
type short struct{ io.ReaderAt }

func (s short) ReadAt(p []byte, off int64) (int, error) {
	if off > 0x1000 {
		return 0, io.EOF
	}
	return s.ReaderAt.ReadAt(p, off)
}

func TestWhatCannotBeReadIsAnError(t *testing.T) {
	signed := base(t)
	if e, err := Verify(context.Background(), short{strings.NewReader(string(signed))}, int64(len(signed)), anchors(t)); !errors.Is(err, io.ErrUnexpectedEOF) || e != nil {
		t.Errorf("%v, %v", e, err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if e, err := Verify(ctx, strings.NewReader(string(signed)), int64(len(signed)), anchors(t)); !errors.Is(err, context.Canceled) || e != nil {
		t.Errorf("%v, %v", e, err)
	}
}
