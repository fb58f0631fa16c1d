package macho

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"kpm/core"
	"kpm/trust/chain"
	"kpm/trust/trusttest"
)

const (
	arm64 = 0x0100000c
	amd64 = 0x01000007
	i386  = 7
	ppc   = 18
)

func TestMain(m *testing.M) {
	code := m.Run()
	if dir, err := workshop(); err == nil {
		os.RemoveAll(dir)
	}
	os.Exit(code)
}

// workshop is the directory of what is built once for all tests.
var workshop = sync.OnceValues(func() (string, error) { return os.MkdirTemp("", "macho-test-") })

func goBuild(dir, out string, env []string, args ...string) error {
	cmd := exec.Command("go", slices.Concat([]string{"build", "-trimpath", "-o", out}, args)...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), append(env, "CGO_ENABLED=0")...)
	if text, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%v: %w\n%s", cmd.Args, err, text)
	}
	return nil
}

// foreign is the signer and verifier of other people (vmtests/macho-signer).
var foreign = sync.OnceValues(func() (string, error) {
	dir, err := workshop()
	if err != nil {
		return "", err
	}
	out := filepath.Join(dir, "macho-signer")
	return out, goBuild(filepath.Join("..", "..", "vmtests", "macho-signer"), out, nil, ".")
})

func runForeign(t testing.TB, args ...string) []byte {
	t.Helper()
	tool, err := foreign()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(tool, args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %v\n%s", args, err, stderr.Bytes())
	}
	return out
}

// programs are two real programs, as the Go linker makes them: arm64 comes
// ad-hoc signed, amd64 unsigned.
var programs = sync.OnceValues(func() (map[string][]byte, error) {
	dir, err := workshop()
	if err != nil {
		return nil, err
	}
	source := filepath.Join(dir, "hello.go")
	if err := os.WriteFile(source, []byte("package main\n\nfunc main() { println(\"hello\") }\n"), 0o600); err != nil {
		return nil, err
	}
	found := map[string][]byte{}
	for _, arch := range []string{"arm64", "amd64"} {
		out := filepath.Join(dir, "hello-"+arch)
		if err := goBuild(dir, out, []string{"GOOS=darwin", "GOARCH=" + arch, "GOFLAGS=", "GO111MODULE=off"}, "-ldflags=-s -w", source); err != nil {
			return nil, err
		}
		if found[arch], err = os.ReadFile(out); err != nil {
			return nil, err
		}
	}
	return found, nil
})

func program(t testing.TB, arch string) []byte {
	t.Helper()
	found, err := programs()
	if err != nil {
		t.Fatal(err)
	}
	return slices.Clone(found[arch])
}

// tiny makes a small image with a __TEXT and a __LINKEDIT segment, unsigned.
// info, if any, is its Info.plist in __TEXT,__info_plist.
func tiny(l layout, kind uint32, info []byte) []byte {
	sections := []section{{"__text", 0x1000, 0x2000}}
	if info != nil {
		sections = []section{{"__text", 0x1000, 0x1000}, {"__info_plist", 0x2000, len(info)}}
	}
	image := makeImage(l, kind, 0x3000, sections...)
	copy(image[0x2000:0x3000], info)
	return image
}

// minute is as small as an image can be and still be signed.
func minute() []byte { return makeImage(little64(), arm64, 0x300, section{"__text", 0x200, 0x100}) }

// section is one of __TEXT: where it lies in the file, and how long it is.
type section struct {
	name       string
	from, size int
}

// makeImage makes an image with some code in the sections.
func makeImage(l layout, kind uint32, textEnd int, sections ...section) []byte {
	image := make([]byte, textEnd+0x100)
	for i := sections[0].from; i < len(image); i++ { // differs from page to page
		image[i] = byte(i*7 + i>>8)
	}
	magic, header, size, sectionSize := uint32(magic32), header32Size, segment32Size, section32Size
	if l.wide {
		magic, header, size, sectionSize = magic64, header64Size, segment64Size, section64Size
	}
	at := header
	word := func(off int, v uint32) { l.PutUint32(image[at+off:], v) }
	segment := func(name string, from, to uint32, sections ...section) {
		total := size + len(sections)*sectionSize
		kind := uint32(lcSegment)
		if l.wide {
			kind = lcSegment64
		}
		word(0, kind)
		word(4, uint32(total))
		copy(image[at+8:], name)
		if l.wide {
			l.PutUint64(image[at+24:], uint64(from)+1<<32)
			l.PutUint64(image[at+32:], uint64(to-from))
			l.PutUint64(image[at+40:], uint64(from))
			l.PutUint64(image[at+48:], uint64(to-from))
			word(64, uint32(len(sections)))
		} else {
			word(24, from+0x1000)
			word(28, to-from)
			word(32, from)
			word(36, to-from)
			word(48, uint32(len(sections)))
		}
		for i, s := range sections {
			section := image[at+size+i*sectionSize:]
			copy(section, s.name)
			copy(section[16:], name)
			from, n := uint32(s.from), uint32(s.size)
			if l.wide {
				l.PutUint64(section[32:], uint64(from)+1<<32)
				l.PutUint64(section[40:], uint64(n))
				l.PutUint32(section[48:], from)
			} else {
				l.PutUint32(section[32:], from+0x1000)
				l.PutUint32(section[36:], n)
				l.PutUint32(section[40:], from)
			}
		}
		at += total
	}
	segment("__TEXT", 0, uint32(textEnd), sections...)
	segment("__LINKEDIT", uint32(textEnd), uint32(len(image)))
	commands := at - header
	at = 0
	word(0, magic)
	word(4, kind)
	word(12, 2) // MH_EXECUTE
	word(16, 2)
	word(20, uint32(commands))
	return image
}

func little64() layout { return layout{binary.LittleEndian, true} }

// signing is what the foreign signer is asked for.
type signing struct {
	by              *trusttest.Entity // Developer ID if nil
	identifier      string
	team            string
	flags           uint32
	hash            string
	entitlements    []byte
	entitlementsDER []byte
	requirements    []byte
	info            []byte
	// asMade leaves the message as the foreign signer makes it: signed over
	// attributes in an order that is not DER's.
	asMade bool
}

// sign has image signed by the foreign signer.
func sign(t testing.TB, image []byte, s signing) []byte {
	t.Helper()
	if s.by == nil {
		s.by = trusttest.New(t).Get(trusttest.DeveloperID)
	}
	if s.identifier == "" {
		s.identifier = "com.example.tool"
	}
	if s.hash == "" {
		s.hash = "sha256"
	}
	files := s.by.Files(t)
	dir := t.TempDir()
	in, out := filepath.Join(dir, "in"), filepath.Join(dir, "out")
	save(t, in, image)
	args := []string{"sign", "-in", in, "-out", out, "-cert", files.Chain, "-key", files.Key, "-identifier", s.identifier,
		"-team", s.team, "-flags", strconv.Itoa(int(s.flags)), "-hash", s.hash}
	for name, data := range map[string][]byte{"entitlements": s.entitlements, "entitlements-der": s.entitlementsDER, "requirements": s.requirements, "info": s.info} {
		if data != nil {
			path := filepath.Join(dir, name)
			save(t, path, data)
			args = append(args, "-"+name, path)
		}
	}
	runForeign(t, args...)
	signed, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	if s.asMade {
		return signed
	}
	return editMessage(t, signed, func(f *trusttest.Forgery) {
		slices.SortFunc(f.Signed().Children, func(a, b *trusttest.Node) int { return bytes.Compare(a.DER(), b.DER()) })
		hash := map[string]crypto.Hash{"sha1": crypto.SHA1, "sha256": crypto.SHA256, "sha384": crypto.SHA384}[s.hash]
		f.Resign(s.by, hash)
	})
}

func save(t testing.TB, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// developerEC is a Developer ID with an ECDSA key.
func developerEC(t testing.TB, team string) *trusttest.Entity {
	t.Helper()
	pki := trusttest.New(t)
	template := *pki.Get(trusttest.DeveloperID).Certificate
	template.SerialNumber, template.SubjectKeyId, template.AuthorityKeyId, template.SignatureAlgorithm = nil, nil, nil, 0
	template.Subject.OrganizationalUnit, template.RawSubject = []string{team}, nil
	for _, e := range template.Extensions {
		if len(e.Id) > 5 && e.Id[3] == 113635 {
			template.ExtraExtensions = append(template.ExtraExtensions, e)
		}
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	entity, err := trusttest.Issue("developer-ec", template, key, pki.Get(trusttest.DeveloperIDCA))
	if err != nil {
		t.Fatal(err)
	}
	return entity
}

func anchors(t testing.TB) *chain.Anchors { return trusttest.New(t).Anchors() }

// judge verifies bytes that lie in memory.
func judge(t testing.TB, a *chain.Anchors, data []byte) []core.Evidence {
	t.Helper()
	evidence, err := Verify(context.Background(), bytes.NewReader(data), int64(len(data)), a)
	if err != nil {
		t.Fatal(err)
	}
	if len(evidence) > 1 {
		t.Fatalf("%d pieces of evidence for one file", len(evidence))
	}
	return evidence
}

// want fails the test unless data is judged as told, for a reason that says so.
func want(t testing.TB, a *chain.Anchors, data []byte, standing core.Standing, reason string) core.Evidence {
	t.Helper()
	evidence := judge(t, a, data)
	if len(evidence) == 0 {
		t.Fatalf("no evidence, want %v", standing)
	}
	e := evidence[0]
	if e.Standing != standing || !strings.Contains(e.Reason, reason) {
		t.Errorf("%v (%s), want %v (%s)\n%v", e.Standing, e.Reason, standing, reason, e.Checks)
	}
	if e.Kind != core.KindMachO || e.Rank != core.RankSigned || e.Reason == "" {
		t.Errorf("kind %q, rank %v, reason %q", e.Kind, e.Rank, e.Reason)
	}
	return e
}

func outcome(e core.Evidence, name string) core.Check {
	for _, c := range e.Checks {
		if c.Name == name {
			return c
		}
	}
	return core.Check{}
}

// place returns where an image's signature lies and how long it is, space and
// all.
func place(t testing.TB, image []byte) extent {
	t.Helper()
	f := file{r: bytes.NewReader(image), size: int64(len(image))}
	im, err := f.readImage(slice{size: f.size})
	if err != nil || im == nil || im.signature == nil {
		t.Fatalf("no signature: %v", err)
	}
	return *im.signature
}

func extensionOf(oid asn1.ObjectIdentifier, value []byte) pkix.Extension {
	return pkix.Extension{Id: oid, Value: value}
}

// twice is a certificate with two countries.
func twice(t testing.TB, issuer *trusttest.Entity) *x509.Certificate {
	t.Helper()
	template := *issuer.Certificate
	template.SerialNumber, template.RawSubject = nil, nil
	template.Subject = pkix.Name{Country: []string{"DE", "FR"}, CommonName: "Twice"}
	made, err := trusttest.Issue("twice", template, issuer.Key, issuer)
	if err != nil {
		t.Fatal(err)
	}
	return made.Certificate
}
