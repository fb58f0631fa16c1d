package authenticode

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"kpm/core"
	"kpm/trust/archive"
	"kpm/trust/trusttest"
)

// trustList is a CertificateTrustList as makecat makes it.
func trustList(t testing.TB, members ...*node) *node {
	t.Helper()
	return seq(seq(object(oidCatalogUsage...)), octet(make([]byte, 16)), prim(23, []byte("260102030405Z")),
		seq(object(oidCatalogSHA256...), null()), seq(members...))
}

// member1 is an entry for a PE image, as makecat makes it for Windows 8 and later.
func member1(t testing.TB, image []byte) *node {
	t.Helper()
	return listed(digestData(oidPeImageData, imageData(), idSHA256, digestOf(t, image, crypto.SHA256)[crypto.SHA256]))
}

// flatMember is an entry for a file of no format.
func flatMember(data []byte) *node {
	digest := sha256.Sum256(data)
	return listed(digestData(oidCabData, tagged(2, taggedPrim(0, nil)), idSHA256, digest[:]))
}

// listed is an entry that is named by its digest and says what that is of.
func listed(content *node) *node {
	return seq(octet(content.at(1, 1).value), set(attribute([]int{1, 3, 6, 1, 4, 1, 311, 12, 2, 3}, taggedPrim(0, nil)), attribute(oidIndirectData, content)))
}

// nameless is an entry of nothing but its name.
func nameless(name []byte) *node { return seq(octet(name)) }

// hexName is how catalogs before Windows 8 name members.
func hexName(digest []byte) []byte {
	var name []byte
	for _, c := range strings.ToUpper(hex.EncodeToString(digest)) + "\x00" {
		name = append(name, byte(c), 0)
	}
	return name
}

// catalogFile is a catalog signed by osslsigncode.
func catalogFile(t testing.TB, signer *trusttest.Entity, list *node, args ...string) []byte {
	t.Helper()
	return sign(t, signer, ".cat", draft{content: list, kind: oidTrustList, unsealed: true}.der(t), args...)
}

func catalog(t testing.TB, pki *trusttest.PKI, signer string, list *node) *Catalog {
	t.Helper()
	c, e := ReadCatalog(catalogFile(t, pki.Get(signer), list), pki.Anchors())
	if c == nil {
		t.Fatalf("%+v", e)
	}
	return c
}

func TestACatalogIsEvidenceForWhatItLists(t *testing.T) {
	pki := trusttest.New(t)
	image, text := victim.bytes(), []byte("#!/bin/sh\necho hello\n")
	long := handmade{sections: 1, overlay: 13}.bytes()
	c := catalog(t, pki, trusttest.Good, trustList(t, member1(t, image), member1(t, long), flatMember(text)))
	changed := victim
	changed.fill = 1
	for name, x := range map[string]struct {
		file []byte
		want bool
	}{
		"the image":             {image, true},
		"the image, signed":     {sign(t, pki.Get(trusttest.Stranger), ".exe", image), true},
		"an odd image":          {long, true},
		"the file":              {text, true},
		"a changed image":       {changed.bytes(), false},
		"a changed file":        {append([]byte("x"), text...), false},
		"nothing":               {nil, false},
		"an image of its bytes": {signedPart(image), false},
	} {
		_, evidence := verify(t, pki.Anchors(), x.file, c)
		var found []core.Evidence
		for _, e := range evidence {
			if e.Kind == core.KindCatalog {
				found = append(found, e)
			}
		}
		if !x.want {
			if found != nil {
				t.Errorf("%s: %+v", name, found)
			}
			continue
		}
		if len(found) != 1 || found[0].Standing != core.Trusted || found[0].Rank != core.RankSigned || found[0].Digest != "SHA-256" ||
			found[0].Signer != trusttest.Organization || len(found[0].Chain) != 3 || check(found[0], "file digest").Outcome != core.Passed {
			t.Errorf("%s: %+v", name, found)
		}
	}
}

// signedPart is a file whose flat digest is the Authenticode digest of an
// image that a catalog lists: the image without what is not signed. It is no
// program, and nobody has signed it.
func signedPart(image []byte) []byte {
	checksum, directory := optionalHeader(image)+optionalChecksum, directoryEntry(image)
	return slices.Concat(image[:checksum], image[checksum+4:directory], image[directory+directorySize:])
}

// Catalogs of all ages, as osslsigncode reads them too.
func TestHowACatalogNamesItsMembers(t *testing.T) {
	pki := trusttest.New(t)
	foreign := newPeer(t, pki)
	image := victim.bytes()
	sums := digestOf(t, image, crypto.SHA1, crypto.SHA256)
	inSHA1 := digestData(oidPeImageData, imageData(), idSHA1, sums[crypto.SHA1])
	inSHA3 := digestData(oidPeImageData, imageData(), idSHA3, sums[crypto.SHA256])
	old := listed(inSHA1)
	old.at(0).value = hexName(sums[crypto.SHA1])
	label := member1(t, image)
	label.at(0).value = []byte("M\x00e\x00")
	other := member1(t, handmade{sections: 1}.bytes())
	other.at(0).value = sums[crypto.SHA256]
	for name, x := range map[string]struct {
		list    *node
		want    string
		foreign string
	}{
		"digest and name":                {trustList(t, member1(t, image)), "trusted", ""},
		"digest, other name":             {trustList(t, label), "trusted", ""},
		"SHA-256 name only":              {trustList(t, nameless(sums[crypto.SHA256])), "trusted", "it goes by the attribute alone"},
		"SHA-256 name in hex":            {trustList(t, nameless(hexName(sums[crypto.SHA256]))), "trusted", "it goes by the attribute alone"},
		"SHA-1, as before Windows 8":     {trustList(t, old), "untrusted", "it takes SHA-1"},
		"SHA-1 name only":                {trustList(t, nameless(sums[crypto.SHA1])), "untrusted", ""},
		"SHA-1 and SHA-256":              {trustList(t, old, member1(t, image)), "trusted", ""},
		"another digest under this name": {trustList(t, other), none, ""},
		"an unknown digest":              {trustList(t, listed(inSHA3)), none, ""},
		"without a list of members":      {seq(trustList(t).kids[:4]...), none, ""},
		"named in odd bytes":             {trustList(t, nameless([]byte("odd"))), none, ""},
		"no members":                     {trustList(t), none, ""},
		"other members":                  {trustList(t, member1(t, handmade{sections: 1}.bytes())), none, ""},
	} {
		file := catalogFile(t, pki.Get(trusttest.Good), x.list)
		c, e := ReadCatalog(file, pki.Anchors())
		if c == nil || e.Standing != core.Trusted {
			t.Fatalf("%s: %+v", name, e)
		}
		_, evidence := verify(t, pki.Anchors(), image, c)
		got := none
		if len(evidence) == 1 {
			got = evidence[0].Standing.String()
		}
		if got != x.want {
			t.Errorf("%s: %s, want %s: %+v", name, got, x.want, evidence)
		}
		path := filepath.Join(t.TempDir(), "list.cat")
		if err := os.WriteFile(path, file, 0o600); err != nil {
			t.Fatal(err)
		}
		accepted, printed := foreign.accepts(t, ".exe", image, "-catalog", path)
		if agreed := accepted == (x.want == "trusted"); agreed == (x.foreign != "") {
			t.Errorf("%s: osslsigncode accepts: %v (%q)\n%s", name, accepted, x.foreign, printed)
		}
	}
}

// A signed list that is no catalog of files, or none that can be read.
func TestWhatIsNoCatalog(t *testing.T) {
	pki := trusttest.New(t)
	member := member1(t, victim.bytes())
	proper := func() *node { return trustList(t, member) }
	change := func(f func(n *node)) *node { n := proper(); f(n); return n }
	for name, list := range map[string]*node{
		"a list of root certificates":  change(func(n *node) { *n.at(0, 0) = *object(1, 3, 6, 1, 4, 1, 311, 10, 3, 9) }),
		"a list of several uses":       change(func(n *node) { add(n.at(0), object(1, 3, 6, 1, 4, 1, 311, 10, 3, 9)) }),
		"a list of no use":             change(func(n *node) { n.at(0).kids = nil }),
		"members of another kind":      change(func(n *node) { *n.at(3, 0) = *object(idSHA1...) }),
		"without kind of members":      change(func(n *node) { n.at(3).kids = nil }),
		"not a sequence":               set(proper().kids...),
		"members that are no OID":      change(func(n *node) { *n.at(3, 0) = *null() }),
		"a use that is no OID":         change(func(n *node) { *n.at(0, 0) = *null() }),
		"a member with two sets":       trustList(t, seq(octet(nil), set(), set())),
		"a sequence of sequences":      seq(seq(), seq(), seq(), seq(), seq()),
		"too short":                    seq(proper().kids[:2]...),
		"a member that is none":        trustList(t, member, null()),
		"a member without name":        trustList(t, seq()),
		"a member with a number":       trustList(t, seq(number(1))),
		"an attribute that is none":    trustList(t, seq(octet(nil), set(null()))),
		"an attribute without value":   trustList(t, seq(octet(nil), set(seq(object(oidIndirectData...), set())))),
		"an attribute with two values": trustList(t, seq(octet(nil), set(attribute(oidIndirectData, null(), null())))),
		"an attribute of another make": trustList(t, seq(octet(nil), set(attribute(oidIndirectData, null())))),
		"a digest that is too short":   trustList(t, listed(digestData(oidPeImageData, imageData(), idSHA256, []byte("short")))),
	} {
		d := draft{signer: pki.Get(trusttest.Good), content: list, kind: oidTrustList}
		c, e := ReadCatalog(d.der(t), pki.Anchors())
		if c != nil || e.Standing != core.Broken || e.Reason == "" {
			t.Errorf("%s: %+v", name, e)
		}
	}
	d := draft{signer: pki.Get(trusttest.Good), content: goodContent(t, victim.bytes())}
	if c, e := ReadCatalog(d.der(t), pki.Anchors()); c != nil || e.Standing != core.Broken {
		t.Errorf("a file's signature: %v %+v", c, e)
	}
	unsealed := draft{content: proper(), kind: oidTrustList, unsealed: true}
	if c, e := ReadCatalog(unsealed.der(t), pki.Anchors()); c != nil || e.Standing != core.Broken {
		t.Errorf("without signature: %v %+v", c, e)
	}
}

// Not one changed bit goes unnoticed: of those that are signed none, of the
// others every third.
func TestATamperedCatalogIsNotTrusted(t *testing.T) {
	pki := trusttest.New(t)
	list := trustList(t, member1(t, victim.bytes()))
	file := catalogFile(t, pki.Get(trusttest.GoodEC), list)
	content := list.der(t)
	start := bytes.Index(file, content)
	parameters := bytes.Index(file, oidSHA256) + len(oidSHA256) // see TestOneBitInEveryByteOfASignedImage
	for at := range file {
		if signed := start <= at && at < start+len(content); at == parameters || !signed && at%3 != 0 {
			continue
		}
		changed := flip(at)(slices.Clone(file))
		c, e := ReadCatalog(changed, pki.Anchors())
		if e.Standing == core.Trusted || c == nil && e.Reason == "" || c != nil && e.Standing == core.Broken {
			t.Errorf("changed at %d: %+v", at, e)
		}
	}
	for size := 0; size < len(file); size += 7 {
		if c, e := ReadCatalog(file[:size], pki.Anchors()); c != nil || e.Standing != core.Broken {
			t.Errorf("cut at %d: %+v", size, e)
		}
	}
}

func TestACatalogIsWorthWhatItsSignerIs(t *testing.T) {
	pki := trusttest.New(t)
	image := victim.bytes()
	for _, name := range []string{trusttest.Stranger, trusttest.SelfSigned, trusttest.Expired, trusttest.ServerAuth, trusttest.Revoked} {
		c := catalog(t, pki, name, trustList(t, member1(t, image)))
		_, evidence := verify(t, pki.Anchors(), image, c)
		if len(evidence) != 1 || evidence[0].Kind != core.KindCatalog || evidence[0].Standing != core.Untrusted {
			t.Errorf("%s: %+v", name, evidence)
		}
	}
	weak := catalogFile(t, pki.Get(trusttest.Good), trustList(t, member1(t, image)), "-h", "sha1")
	c, _ := ReadCatalog(weak, pki.Anchors())
	if _, evidence := verify(t, pki.Anchors(), image, c); len(evidence) != 1 || evidence[0].Standing != core.Untrusted {
		t.Errorf("signed with SHA-1: %+v", evidence)
	}
}

// A catalog that was fine when the service started.
func TestACatalogExpiresWhileItIsInUse(t *testing.T) {
	pki := trusttest.New(t)
	now := pki.Now
	a := pki.Anchors()
	a.Now = func() time.Time { return now }
	image := victim.bytes()
	c, e := ReadCatalog(catalogFile(t, pki.Get(trusttest.Good), trustList(t, member1(t, image))), a)
	if e.Standing != core.Trusted {
		t.Fatalf("%+v", e)
	}
	for range 2 { // and evidence once given does not change what is given next
		if _, evidence := verify(t, a, image, c); standing(evidence) != core.Trusted {
			t.Errorf("at first: %+v", evidence)
		}
	}
	now = now.Add(2 * 365 * 24 * time.Hour)
	if _, evidence := verify(t, a, image, c); standing(evidence) != core.Untrusted {
		t.Errorf("two years later: %+v", evidence)
	}
}

func TestACatalogIsAFileThatIsSigned(t *testing.T) {
	pki := trusttest.New(t)
	file := catalogFile(t, pki.Get(trusttest.Good), trustList(t, flatMember([]byte("text"))), stamped(t, pki.Get(trusttest.Stamper))...)
	format, evidence := verify(t, pki.Anchors(), file)
	if format != "catalog" || len(evidence) != 1 || evidence[0].Kind != core.KindAuthenticode || evidence[0].Standing != core.Trusted {
		t.Errorf("%s: %+v", format, evidence)
	}
	for name, x := range map[string][]byte{
		"cut":              file[:len(file)-1],
		"longer than read": append(slices.Clone(file), make([]byte, maxTable)...),
		"data after it":    append(slices.Clone(file), "data"...),
		"zeros after it":   append(slices.Clone(file), make([]byte, 8)...),
	} {
		format, evidence := verify(t, pki.Anchors(), x)
		if format != "catalog" || standing(evidence) != core.Broken {
			t.Errorf("%s: %s: %+v", name, format, evidence)
		}
	}
}

// An image that is also signed is read once for both.
func TestSignatureAndCatalogCostOnePass(t *testing.T) {
	pki := trusttest.New(t)
	image := goProgram(t, "amd64")
	c := catalog(t, pki, trusttest.Good, trustList(t, member1(t, image)))
	file := sign(t, pki.Get(trusttest.Good), ".exe", image, "-ph", "-h", "sha384")
	r := &counting{ReaderAt: bytes.NewReader(file)}
	_, evidence, err := Verify(t.Context(), r, int64(len(file)), pki.Anchors(), c)
	if err != nil || len(evidence) != 2 || standing(evidence) != core.Trusted {
		t.Fatalf("%+v, %v", evidence, err)
	}
	if most := len(file) + 64<<10 + archive.Searched; r.read > most { // the end is searched for an archive
		t.Errorf("read %d bytes of %d", r.read, len(file))
	}
}

// Of a file whose own signature is broken nobody knows what a catalog would
// list it by.
func TestACatalogDoesNotMakeUpForABrokenSignature(t *testing.T) {
	pki := trusttest.New(t)
	image := victim.bytes()
	c := catalog(t, pki, trusttest.Good, trustList(t, member1(t, image)))
	file := sign(t, pki.Get(trusttest.Good), ".exe", image)
	if _, evidence := verify(t, pki.Anchors(), file, c); len(evidence) != 2 || standing(evidence) != core.Trusted {
		t.Fatalf("before: %+v", evidence)
	}
	for name, change := range map[string]func([]byte) []byte{
		"table": func(b []byte) []byte { return append(b, "payload."...) },
		"code":  flip(textAt),
	} {
		_, evidence := verify(t, pki.Anchors(), change(bytes.Clone(file)), c)
		if rank := (core.Provenance{Evidence: evidence}).Rank(); len(evidence) != 1 || rank != core.RankNone {
			t.Errorf("%s changed: %+v", name, evidence)
		}
	}
}
