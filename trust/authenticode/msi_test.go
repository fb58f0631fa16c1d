package authenticode

import (
	"bytes"
	"crypto"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"kpm/core"
	"kpm/trust/trusttest"
)

// wix is the source of a package with one file.
const wix = `<?xml version="1.0"?>
<Wix xmlns="http://schemas.microsoft.com/wix/2006/wi">
 <Product Id="*" Name="Probe" Language="1033" Version="1.0.0" Manufacturer="Contoso" UpgradeCode="6b7c3a52-0a4a-4fae-9f7e-0c5a3f1d2b11">
  <Package InstallerVersion="200" Compressed="yes"/>
  <Media Id="1" Cabinet="p.cab" EmbedCab="yes"/>
  <Directory Id="TARGETDIR" Name="SourceDir"><Directory Id="INSTALLDIR" Name="Probe">
   <Component Id="C1" Guid="6b7c3a52-0a4a-4fae-9f7e-0c5a3f1d2b12"><File Id="F1" Name="a.bin" Source="a.bin" KeyPath="yes"/></Component>
  </Directory></Directory>
  <Feature Id="Main" Level="1"><ComponentRef Id="C1"/></Feature>
 </Product>
</Wix>`

// wixl makes a package around a file of that size.
func wixl(size int) ([]byte, error) {
	dir, err := os.MkdirTemp("", "wixl")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	if err := os.WriteFile(filepath.Join(dir, "p.wxs"), []byte(wix), 0o600); err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(dir, "a.bin"), noise(size), 0o600); err != nil {
		return nil, err
	}
	cmd := exec.Command("wixl", "-o", "p.msi", "p.wxs")
	cmd.Dir = dir
	if printed, err := cmd.CombinedOutput(); err != nil {
		return nil, &exec.Error{Name: string(printed), Err: err}
	}
	return os.ReadFile(filepath.Join(dir, "p.msi"))
}

var wixlSmall = sync.OnceValues(func() ([]byte, error) { return wixl(6000) })

func wixlPackage(t testing.TB) []byte {
	t.Helper()
	b, err := wixlSmall()
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Clone(b)
}

// noise is the same bytes every time.
func noise(n int) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{1}).Read(b)
	return b
}

const notTheSignature = "not the package's"

// smallPackage has streams long, short and empty, and storages, and few bytes.
func smallPackage() *cfbObject {
	sub := storageOf("Sub", streamOf("one", noise(100)), streamOf("Two", noise(64)), streamOf(msiSignature, []byte(notTheSignature)))
	sub.class, sub.times = [16]byte{9, 8, 7}, [16]byte{1, 2, 3}
	long := streamOf("Binary.action", noise(4700))
	long.state, long.times = 7, [16]byte{4, 5, 6}
	root := storageOf("Root Entry", streamOf("\x05SummaryInformation", noise(200)), long, streamOf("Property", noise(65)),
		streamOf("empty", nil), sub, storageOf("Empty storage"), streamOf("z", []byte("last")))
	root.class = [16]byte(msiClass(0x84))
	return root
}

// signPackage has osslsigncode sign it.
func signPackage(t testing.TB, b []byte, args ...string) []byte {
	t.Helper()
	return sign(t, trusttest.New(t).Get(trusttest.Good), ".msi", b, args...)
}

// signTree has osslsigncode sign a package, and takes nothing from it but the
// signature: what osslsigncode writes has its directory in disorder if there
// are storages.
func signTree(t testing.TB, root *cfbObject, args ...string) *cfbObject {
	t.Helper()
	signed := signPackage(t, layout{}.write(root), args...)
	c, _ := readCompound(bytes.NewReader(signed), int64(len(signed)))
	for id := range uint32(len(c.directory) / cfbEntrySize) {
		e, err := c.entry(id)
		if err != nil || e.kind != cfbStream {
			continue
		}
		for _, name := range []string{msiSignature, msiSignatureEx} {
			content, err := c.content(e)
			// The one of that name in a storage is part of the package.
			if err == nil && bytes.Equal(e.name, utf16le(name)) && string(content) != notTheSignature {
				root.kids = append(root.kids, streamOf(name, content))
			}
		}
	}
	return root
}

func TestSignedPackagesAreTrusted(t *testing.T) {
	pki := trusttest.New(t)
	foreign := newPeer(t, pki)
	stranger := storageOf("Root Entry", streamOf("Workbook", noise(5000)))
	for _, x := range []struct {
		name   string
		file   []byte
		signer string
		args   []string
		digest crypto.Hash
		doubt  bool
	}{
		{"without names and sizes", wixlPackage(t), trusttest.Good, nil, crypto.SHA256, true},
		{"with names and sizes", wixlPackage(t), trusttest.Good, []string{"-add-msi-dse"}, crypto.SHA256, false},
		{"SHA-384", wixlPackage(t), trusttest.Good, []string{"-h", "sha384", "-add-msi-dse"}, crypto.SHA384, false},
		{"SHA-512, ECDSA", wixlPackage(t), trusttest.GoodEC, []string{"-h", "sha512", "-add-msi-dse"}, crypto.SHA512, false},
		{"SHA-1", wixlPackage(t), trusttest.Good, []string{"-h", "sha1", "-add-msi-dse"}, crypto.SHA1, true},
		{"version 4", layout{version: 4}.write(load(t, wixlPackage(t))), trusttest.Good, []string{"-add-msi-dse"}, crypto.SHA256, false},
		{"no package, but signed as one", layout{}.write(stranger), trusttest.Good, []string{"-add-msi-dse"}, crypto.SHA256, false},
		{"time-stamped", wixlPackage(t), trusttest.Good, stamped(t, pki.Get(trusttest.Stamper), "-add-msi-dse"), crypto.SHA256, false},
	} {
		signed := sign(t, pki.Get(x.signer), ".msi", x.file, x.args...)
		format, evidence := verify(t, pki.Anchors(), signed)
		want := core.Trusted
		if x.doubt {
			want = core.Untrusted
		}
		if format != formatMSI || len(evidence) != 1 || evidence[0].Standing != want || evidence[0].Digest != x.digest.String() {
			t.Errorf("%s: %s %+v", x.name, format, evidence)
		}
		if ok, printed := foreign.accepts(t, ".msi", signed); !ok {
			t.Errorf("%s: osslsigncode refuses: %s", x.name, printed)
		}
	}
}

func TestUnsignedCompoundFiles(t *testing.T) {
	a := trusttest.New(t).Anchors()
	document := storageOf("Root Entry", streamOf("WordDocument", noise(5000)))
	for _, x := range []struct {
		name, format string
		file         []byte
	}{
		{"package", formatMSI, wixlPackage(t)},
		{"package without streams", formatMSI, layout{}.write(func() *cfbObject {
			o := storageOf("Root Entry")
			o.class = [16]byte(msiClass(0x86))
			return o
		}())},
		{"somebody's document", "", layout{}.write(document)},
	} {
		if format, evidence := verify(t, a, x.file); format != x.format || len(evidence) != 0 {
			t.Errorf("%s: %s %+v", x.name, format, evidence)
		}
	}
}

// The same streams are the same package wherever their sectors lie.
func TestSignatureSurvivesEveryLayout(t *testing.T) {
	pki := trusttest.New(t)
	foreign := newPeer(t, pki)
	small := signTree(t, smallPackage(), "-add-msi-dse")
	large := storageOf("Root Entry", streamOf("Cab", noise(7<<20)), streamOf("Property", noise(10)))
	large.class = [16]byte(msiClass(0x84))
	large = signTree(t, large, "-add-msi-dse")
	for _, x := range []struct {
		name    string
		layout  layout
		root    *cfbObject
		foreign string // osslsigncode's different opinion, and why
	}{
		{"version 3", layout{}, small, ""},
		{"version 4", layout{version: 4}, small, ""},
		{"backwards", layout{scatter: true, lead: 1}, small, ""},
		{"backwards, version 4", layout{scatter: true, lead: 1, version: 4}, small, ""},
		{"backwards to sector 0", layout{scatter: true}, small, "osslsigncode takes no chain that leads to sector 0"},
		{"balanced directory", layout{balanced: true}, small, ""},
		{"unused sectors", layout{free: [][]byte{noise(512), nil}}, small, ""},
		{"a chain longer than its stream", layout{long: 2}, small, ""},
		{"DIFAT", layout{}, large, ""},
		{"DIFAT, backwards", layout{scatter: true, lead: 1}, large, ""},
	} {
		file := x.layout.write(x.root)
		if _, evidence := verify(t, pki.Anchors(), file); standing(evidence) != core.Trusted {
			t.Errorf("%s: %+v", x.name, evidence)
		}
		ok, printed := foreign.accepts(t, ".msi", file)
		if ok == (x.foreign != "") {
			t.Errorf("%s: osslsigncode accepts: %v (%q)\n%s", x.name, ok, x.foreign, printed)
		}
	}
}

// Windows leaves a last sector unfinished where its data ends.
func TestPackageMayEndWithItsData(t *testing.T) {
	pki := trusttest.New(t)
	foreign := newPeer(t, pki)
	for _, version := range []uint16{3, 4} {
		root := storageOf("Root Entry", streamOf("Binary.action", noise(4700)))
		root.class = [16]byte(msiClass(0x84))
		file := layout{version: version, tail: true}.write(signTree(t, root, "-add-msi-dse"))
		end := bytes.Index(file, noise(4700)) + 4700
		for _, x := range []struct {
			name string
			file []byte
			want core.Standing
		}{
			{"whole sectors", file, core.Trusted},
			{"to the last byte", file[:end], core.Trusted},
			{"some zeros more", file[:end+9], core.Trusted},
			{"the last byte cut off", file[:end-1], core.Broken},
			{"something else more", append(bytes.Clone(file[:end]), "else"...), core.Broken},
		} {
			if _, evidence := verify(t, pki.Anchors(), x.file); standing(evidence) != x.want {
				t.Errorf("version %d, %s: %+v", version, x.name, evidence)
			}
		}
		if ok, printed := foreign.accepts(t, ".msi", file); !ok {
			t.Errorf("version %d: osslsigncode refuses: %s", version, printed)
		}
	}
}

func TestPackageChecks(t *testing.T) {
	pki := trusttest.New(t)
	for _, x := range []struct {
		args []string
		want string
	}{{nil, core.NotChecked}, {[]string{"-add-msi-dse"}, core.Passed}} {
		_, evidence := verify(t, pki.Anchors(), signPackage(t, wixlPackage(t), x.args...))
		if names, unused := checkOf(evidence, "names of the package's streams"), checkOf(evidence, "unused parts of the package"); names != x.want || unused != core.NotChecked {
			t.Errorf("%v: %q, want %q; %q", x.args, names, x.want, unused)
		}
	}
}

// checkOf is the outcome of a check of the first evidence.
func checkOf(evidence []core.Evidence, name string) string {
	for _, c := range evidence[0].Checks {
		if c.Name == name {
			return c.Outcome
		}
	}
	return ""
}

// Another reader of compound files sees the streams that this one does.
func TestForeignToolsReadTheSamePackage(t *testing.T) {
	signed := signPackage(t, wixlPackage(t), "-add-msi-dse")
	path := filepath.Join(t.TempDir(), "p.msi")
	if err := os.WriteFile(path, layout{scatter: true, balanced: true}.write(load(t, signed)), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), "msiinfo", "streams", path).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, name := range []string{"p.cab", "\x05SummaryInformation"[1:], msiSignature[1:], msiSignatureEx[1:]} {
		if !strings.Contains(string(out), name) {
			t.Errorf("msiinfo lists no %s:\n%s", name, out)
		}
	}
}
