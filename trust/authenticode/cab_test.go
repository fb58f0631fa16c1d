package authenticode

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"kpm/core"
	"kpm/trust/trusttest"
)

// gcab makes a cabinet with two files.
var gcab = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "gcab")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	for name, content := range map[string][]byte{"program.exe": noise(700), "readme.txt": bytes.Repeat([]byte("read me "), 50)} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			return nil, err
		}
	}
	cmd := exec.Command("gcab", "-c", "-n", "out.cab", "program.exe", "readme.txt")
	cmd.Dir = dir
	if printed, err := cmd.CombinedOutput(); err != nil {
		return nil, &exec.Error{Name: string(printed), Err: err}
	}
	return os.ReadFile(filepath.Join(dir, "out.cab"))
})

func plainCabinet(t testing.TB) []byte {
	t.Helper()
	b, err := gcab()
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Clone(b)
}

func signedCabinet(t testing.TB, args ...string) []byte {
	t.Helper()
	return sign(t, trusttest.New(t).Get(trusttest.Good), ".cab", plainCabinet(t), args...)
}

func TestSignedCabinetsAreTrusted(t *testing.T) {
	pki := trusttest.New(t)
	foreign := newPeer(t, pki)
	for _, x := range []struct {
		signer string
		args   []string
		digest crypto.Hash
		want   core.Standing
	}{
		{trusttest.Good, nil, crypto.SHA256, core.Trusted},
		{trusttest.GoodEC, []string{"-h", "sha384"}, crypto.SHA384, core.Trusted},
		{trusttest.Good, []string{"-h", "sha512", "-jp", "low"}, crypto.SHA512, core.Trusted},
		{trusttest.Good, []string{"-h", "sha1"}, crypto.SHA1, core.Untrusted},
		{trusttest.Good, stamped(t, pki.Get(trusttest.Stamper)), crypto.SHA256, core.Trusted},
	} {
		signed := sign(t, pki.Get(x.signer), ".cab", plainCabinet(t), x.args...)
		format, evidence := verify(t, pki.Anchors(), signed)
		if format != formatCAB || len(evidence) != 1 || evidence[0].Standing != x.want || evidence[0].Digest != x.digest.String() {
			t.Errorf("%s %v: %s %+v", x.signer, x.args, format, evidence)
		}
		if ok, printed := foreign.accepts(t, ".cab", signed); !ok {
			t.Errorf("%s %v: osslsigncode refuses: %s", x.signer, x.args, printed)
		}
	}
}

func TestCabinetSignedTwice(t *testing.T) {
	pki := trusttest.New(t)
	twice := sign(t, pki.Get(trusttest.GoodEC), ".cab", signedCabinet(t), "-h", "sha384", "-nest")
	if _, evidence := verify(t, pki.Anchors(), twice); len(evidence) != 2 || standing(evidence) != core.Trusted {
		t.Errorf("%+v", evidence)
	}
}

func TestUnsignedCabinets(t *testing.T) {
	a := trusttest.New(t).Anchors()
	emptied := put32(cabSignatureLen, 0)(put32(cabSignature, 0)(signedCabinet(t)))
	for name, b := range map[string][]byte{
		"plain": plainCabinet(t), "an empty place for a signature": emptied,
		"somebody else's data in the header": put(cabMark, 'd', 'a', 't', 'a')(signedCabinet(t)),
	} {
		if format, evidence := verify(t, a, b); format != formatCAB || len(evidence) != 0 {
			t.Errorf("%s: %s %+v", name, format, evidence)
		}
	}
}

// A foreign extractor finds the files in the cabinet that was verified.
func TestForeignToolsReadTheSameCabinet(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "signed.cab")
	if err := os.WriteFile(path, signedCabinet(t), 0o600); err != nil {
		t.Fatal(err)
	}
	if printed, err := exec.CommandContext(t.Context(), "gcab", "-x", "-C", dir, path).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, printed)
	}
	if is, err := os.ReadFile(filepath.Join(dir, "program.exe")); err != nil || !bytes.Equal(is, noise(700)) {
		t.Errorf("%v: %x", err, is)
	}
}

// inSet makes one cabinet of a set of a signed one: with flags, a place in the
// set, and the names of its neighbours. It is signed anew, by the digest that
// jsign computes (MSCabinetFile).
func inSet(t testing.TB, flags uint16, place uint16, names string) []byte {
	t.Helper()
	signed := signedCabinet(t)
	start := int(word(signed, cabSignature))
	b := slices.Insert(bytes.Clone(signed[:start]), cabSignedHeader, []byte(names)...)
	le := binary.LittleEndian
	le.PutUint16(b[cabFlags:], flags|cabReservePresent)
	le.PutUint16(b[34:], place)
	for _, at := range []int{cabSize, 16, cabSignature, cabSignedHeader + len(names)} { // coffFiles and the folder's coffCabStart
		le.PutUint32(b[at:], word(b, at)+uint32(len(names)))
	}
	h := sha256.New()
	for _, part := range [][]byte{b[:4], b[8:36], {0, 0}, b[60:]} {
		h.Write(part)
	}
	blob := draft{signer: trusttest.New(t).Get(trusttest.Good), content: digestData(oidCabData, nil, idSHA256, h.Sum(nil))}.der(t)
	le.PutUint32(b[cabSignatureLen:], uint32(len(blob)))
	return append(b, blob...)
}

func TestCabinetsOfASet(t *testing.T) {
	pki := trusttest.New(t)
	foreign := newPeer(t, pki)
	for _, x := range []struct {
		name    string
		file    []byte
		foreign string
	}{
		{"alone", inSet(t, 0, 0, ""), ""},
		{"first", inSet(t, 2, 0, "next.cab\x00Disk 2\x00"), ""},
		{"middle", inSet(t, 3, 1, "first.cab\x00Disk 1\x00last.cab\x00Disk 3\x00"), "osslsigncode verifies no cabinet that has one before it"},
		{"last", inSet(t, 1, 2, "next.cab\x00Disk 2\x00"), "the same"},
	} {
		if _, evidence := verify(t, pki.Anchors(), x.file); standing(evidence) != core.Trusted {
			t.Errorf("%s: %+v", x.name, evidence)
		}
		if ok, printed := foreign.accepts(t, ".cab", x.file); ok == (x.foreign != "") {
			t.Errorf("%s: osslsigncode accepts: %v (%q)\n%s", x.name, ok, x.foreign, printed)
		}
		for _, at := range []int{34, cabSignedHeader, cabSignedHeader + 3} {
			if _, evidence := verify(t, pki.Anchors(), flip(at)(bytes.Clone(x.file))); standing(evidence) != core.Broken {
				t.Errorf("%s, byte %d: %+v", x.name, at, evidence)
			}
		}
	}
}
