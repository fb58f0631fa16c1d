package ima_test

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"os"
	"path/filepath"
	"testing"

	"kpm/core"
	"kpm/core/port"
	"kpm/trust/trusttest"
)

// fsveritySign signs content's fs-verity digest with fsverity.
func fsveritySign(t testing.TB, content []byte, e *trusttest.Entity, options ...string) []byte {
	t.Helper()
	path, f := write(t, content), e.Files(t)
	run(t, append([]string{"fsverity", "sign", path, path + ".sig", "--key=" + f.Key, "--cert=" + f.Cert}, options...)...)
	signature, err := os.ReadFile(path + ".sig")
	if err != nil {
		t.Fatal(err)
	}
	return signature
}

// formatted is what is signed, as fsverity writes it.
func formatted(t testing.TB, content []byte) string {
	t.Helper()
	return write(t, unhex(t, run(t, "fsverity", "digest", "--compact", "--for-builtin-sig", write(t, content))))
}

// opensslSign signs the same with openssl, in forms that fsverity does not make.
func opensslSign(t testing.TB, content []byte, e *trusttest.Entity, options ...string) []byte {
	t.Helper()
	f, out := e.Files(t), filepath.Join(t.TempDir(), "signature")
	argv := []string{"openssl", "cms", "-sign", "-binary", "-in", formatted(t, content), "-signer", f.Cert, "-inkey", f.Key, "-outform", "DER", "-out", out}
	run(t, append(argv, options...)...)
	signature, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return signature
}

// enabled is a machine whose kernel holds content to fs-verity, with a built-in
// signature.
func enabled(t testing.TB, content, signature []byte) *machine {
	t.Helper()
	v := measured(t, content, crypto.SHA256, 4096, nil)
	v.Signature = signature
	return &machine{verity: v}
}

func TestBuiltinSignatureOfFsverity(t *testing.T) {
	s, content := cast(t), program()
	for _, e := range []*trusttest.Entity{s.good, s.ec} {
		got := only(t, content, enabled(t, content, fsveritySign(t, content, e)))
		if got.Standing != core.Trusted || got.Kind != core.KindVerity || got.Signer != e.Name || got.Digest != "SHA-256" {
			t.Errorf("%s: %+v", e.Name, got)
		}
	}
	m := &machine{verity: measured(t, content, crypto.SHA512, 1024, []byte("salt"))}
	m.verity.Signature = fsveritySign(t, content, s.good, "--hash-alg=sha512", "--block-size=1024", "--salt=73616c74")
	if got := only(t, content, m); got.Standing != core.Trusted || got.Digest != "SHA-512" {
		t.Errorf("SHA-512 with salt: %+v", got)
	}
	for _, options := range [][]string{{"-noattr", "-nocerts"}, {"-noattr", "-nocerts", "-keyid"}} {
		if got := only(t, content, enabled(t, content, opensslSign(t, content, s.good, options...))); got.Standing != core.Trusted {
			t.Errorf("openssl %v: %+v", options, got)
		}
	}
	if found := judge(t, content, &machine{verity: measured(t, content, crypto.SHA256, 4096, nil)}, s.keys()); len(found) != 0 {
		t.Errorf("fs-verity without a signature: %+v", found)
	}
}

func TestNoManipulatedBuiltinSignatureIsAccepted(t *testing.T) {
	s, content := cast(t), program()
	der := fsveritySign(t, content, s.good)
	lie := enabled(t, content, der) // a file system that answers for the signed file
	other := func(change func(*port.Verity)) *machine {
		m := enabled(t, content, der)
		change(m.verity)
		return m
	}
	namesake, err := trusttest.Issue("good", x509.Certificate{
		Subject: s.good.Certificate.Subject, SerialNumber: s.good.Certificate.SerialNumber,
		NotBefore: s.good.Certificate.NotBefore, NotAfter: s.good.Certificate.NotAfter,
	}, s.stranger.Key, nil)
	if err != nil {
		t.Fatal(err)
	}
	large, err := trusttest.Issue("large", x509.Certificate{
		Subject: s.good.Certificate.Subject, NotBefore: s.good.Certificate.NotBefore, NotAfter: s.good.Certificate.NotAfter,
		ExtraExtensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 2, 3}, Value: make([]byte, 17000)}},
	}, s.stranger.Key, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name    string
		content []byte
		machine *machine
		want    core.Standing
	}{
		{"file changed, and the system answers for the signed one", flipped(content, 7), lie, core.Broken},
		{"file longer, and the system answers for the signed one", append(bytes.Clone(content), 0), lie, core.Broken},
		{"signature of another file", content, enabled(t, content, fsveritySign(t, flipped(content, 7), s.good)), core.Broken},
		{"signature with another salt", content, enabled(t, content, fsveritySign(t, content, s.good, "--salt=00")), core.Broken},
		{"signature with another algorithm", content, enabled(t, content, fsveritySign(t, content, s.good, "--hash-alg=sha512")), core.Broken},
		{"signature with another block size", content, enabled(t, content, fsveritySign(t, content, s.good, "--block-size=1024")), core.Broken},
		{"kernel's digest changed", content, other(func(v *port.Verity) { v.Digest = flipped(v.Digest, 3) }), core.Broken},
		{"impossible parameters", content, other(func(v *port.Verity) { v.BlockSize = 1 << 30 }), core.Broken},
		{"an algorithm that there is not", content, other(func(v *port.Verity) { v.Hash = crypto.MD5 }), core.Broken},
		{"empty", content, enabled(t, content, []byte{}), core.Broken},
		{"cut", content, enabled(t, content, der[:len(der)-1]), core.Broken},
		{"longer", content, enabled(t, content, append(bytes.Clone(der), 0)), core.Broken},
		{"too long", content, enabled(t, content, append(bytes.Clone(der), make([]byte, 17000)...)), core.Broken},
		{"longer than the kernel takes", content, enabled(t, content, opensslSign(t, content, large, "-noattr")), core.Broken},
		{"huge length", content, enabled(t, content, []byte{0x30, 0x84, 0xff, 0xff, 0xff, 0xff, 6}), core.Broken},
		{"no end", content, enabled(t, content, bytes.Repeat([]byte{0x30, 0x80}, 4000)), core.Broken},
		{"two signers", content, enabled(t, content, opensslSign(t, content, s.good, "-noattr", "-nocerts", "-signer", s.ec.Files(t).Cert, "-inkey", s.ec.Files(t).Key)), core.Broken},
		{"its own content", content, enabled(t, content, opensslSign(t, content, s.good, "-noattr", "-nocerts", "-nodetach")), core.Broken},
		{"content of another type", content, enabled(t, content, opensslSign(t, content, s.good, "-noattr", "-nocerts", "-econtent_type", "1.2.3.4")), core.Broken},
		{"signed attributes", content, enabled(t, content, opensslSign(t, content, s.good, "-nocerts")), core.Untrusted},
		{"certificates", content, enabled(t, content, opensslSign(t, content, s.good, "-noattr")), core.Untrusted},
		{"PSS", content, enabled(t, content, opensslSign(t, content, s.good, "-noattr", "-nocerts", "-keyopt", "rsa_padding_mode:pss")), core.Broken},
		{"SHA-1", content, enabled(t, content, opensslSign(t, content, s.good, "-noattr", "-nocerts", "-md", "sha1")), core.Untrusted},
		{"a digest that is not checked", content, enabled(t, content, opensslSign(t, content, s.good, "-noattr", "-nocerts", "-md", "sha3-256")), core.Untrusted},
		{"a stranger's", content, enabled(t, content, fsveritySign(t, content, s.stranger)), core.Untrusted},
		{"a stranger's in our name", content, enabled(t, content, fsveritySign(t, content, namesake)), core.Broken},
		{"of an expired certificate", content, enabled(t, content, fsveritySign(t, content, s.expired)), core.Untrusted},
		{"of a certificate for something else", content, enabled(t, content, fsveritySign(t, content, s.encipher)), core.Untrusted},
		{"of a short key", content, enabled(t, content, fsveritySign(t, content, s.weak)), core.Untrusted},
	} {
		if got := only(t, c.content, c.machine); got.Standing != c.want || got.Reason == "" {
			t.Errorf("%s: %v (%s), expected %v", c.name, got.Standing, got.Reason, c.want)
		}
	}
}

func TestEveryByteOfABuiltinSignatureCounts(t *testing.T) {
	s, content := cast(t), program()
	for _, der := range [][]byte{fsveritySign(t, content, s.good), opensslSign(t, content, s.ec, "-noattr", "-nocerts", "-keyid")} {
		for at := range der {
			for _, bit := range []byte{1, 2, 0x20, 0x80} {
				changed := bytes.Clone(der)
				changed[at] ^= bit
				if got := only(t, content, enabled(t, content, changed)); got.Standing == core.Trusted {
					t.Errorf("accepted with byte %d changed by %#x", at, bit)
				}
			}
		}
		for n := range der {
			if got := only(t, content, enabled(t, content, der[:n])); got.Standing == core.Trusted {
				t.Errorf("accepted with %d bytes of it", n)
			}
		}
	}
}

// openssl is the other verifier of the same signature.
func TestTheSameVerdictAsOpenssl(t *testing.T) {
	s, content := cast(t), program()
	good := fsveritySign(t, content, s.good)
	// A signature over the attributes of another one, which would pass for
	// attributes if what is signed did not begin with "FSVerity".
	withAttributes := opensslSign(t, content, s.good, "-nocerts")
	for name, c := range map[string]struct {
		content, signature []byte
		stricter           bool
	}{
		"good":            {content, good, false},
		"file changed":    {flipped(content, 1), good, false},
		"changed":         {content, flipped(good, len(good)-9), false},
		"with attributes": {content, withAttributes, true}, // a form that is not checked
	} {
		signature, f := write(t, c.signature), s.good.Files(t)
		theirs := accepts(t, "openssl", "cms", "-verify", "-binary", "-inform", "DER", "-in", signature, "-content", formatted(t, c.content),
			"-certfile", f.Cert, "-nointern", "-noverify", "-out", os.DevNull)
		ours := only(t, c.content, enabled(t, c.content, c.signature))
		if want := theirs && !c.stricter; (ours.Standing == core.Trusted) != want || (c.stricter && !theirs) {
			t.Errorf("%s: openssl accepts: %t, here: %v (%s)", name, theirs, ours.Standing, ours.Reason)
		}
	}
}
