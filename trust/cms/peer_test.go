package cms_test

import (
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	legacy "github.com/fullsailor/pkcs7"
	"github.com/smallstep/pkcs7"

	"kpm/core"
	"kpm/trust/cms"
	"kpm/trust/trusttest"
)

// opensslAccepts asks the verifier of another maker, without its opinion about
// the certificate.
func opensslAccepts(t testing.TB, der []byte) bool {
	t.Helper()
	out, err := exec.Command("openssl", "cms", "-verify", "-noverify", "-binary", "-inform", "DER",
		"-in", save(t, "signature", der), "-out", filepath.Join(t.TempDir(), "content")).CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("openssl: %v\n%s", err, out)
	}
	return err == nil
}

// Of every forgery openssl says the same, or the table says why not.
func TestOpenSSLAgrees(t *testing.T) {
	for _, f := range forgeries {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			if accepts := opensslAccepts(t, f.make(t)); accepts != (f.openssl != "") {
				t.Errorf("openssl accepts: %v; the reason listed: %q", accepts, f.openssl)
			}
		})
	}
}

// What we accept openssl accepts.
func TestOpenSSLVerifiesWhatWeAccept(t *testing.T) {
	p := trusttest.New(t)
	for _, m := range accepted(p) {
		der := trusttest.Sign(m.Message)
		if _, err := verify(der); err != nil {
			t.Errorf("%s: %v", m.name, err)
		}
		if !opensslAccepts(t, der) {
			t.Errorf("%s: refused by openssl", m.name)
		}
	}
}

type named struct {
	name string
	trusttest.Message
	legacy string // why the old library refuses it
}

func accepted(p *trusttest.PKI) []named {
	rsa, ec := p.Get(trusttest.Good), p.Get(trusttest.GoodEC)
	const noHash, noKeyID = "it knows SHA-1 and SHA-256 only", "it knows no key identifiers"
	return []named{
		{"RSA, SHA-256", trusttest.Message{Signer: rsa, Content: signed}, ""},
		{"RSA, SHA-1", trusttest.Message{Signer: rsa, Content: signed, Hash: crypto.SHA1}, ""},
		{"RSA, SHA-384", trusttest.Message{Signer: rsa, Content: signed, Hash: crypto.SHA384}, noHash},
		{"RSA, SHA-512", trusttest.Message{Signer: rsa, Content: signed, Hash: crypto.SHA512}, noHash},
		{"P-256, SHA-256", trusttest.Message{Signer: ec, Content: signed}, ""},
		{"P-256, SHA-384", trusttest.Message{Signer: ec, Content: signed, Hash: crypto.SHA384}, noHash},
		{"by key identifier", trusttest.Message{Signer: rsa, Content: signed, KeyID: true}, noKeyID},
		{"empty content", trusttest.Message{Signer: rsa, Content: []byte{}}, ""},
		{"signing time", trusttest.Message{Signer: rsa, Content: signed, Attributes: [][]byte{
			trusttest.Attribute(trusttest.OIDSigningTime, trusttest.Encode(p.Now)),
		}}, ""},
	}
}

// guarded asks the old library, which panics on some three bytes.
func guarded(der []byte) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v", r)
		}
	}()
	p7, err := legacy.Parse(der)
	if err != nil {
		return err
	}
	return p7.Verify()
}

// Whatever we accept the old library accepts too, or the reason is listed.
func TestOldLibraryAcceptsWhatWeAccept(t *testing.T) {
	for _, m := range accepted(trusttest.New(t)) {
		if err := guarded(trusttest.Sign(m.Message)); (err != nil) != (m.legacy != "") {
			t.Errorf("%s: %v; the reason listed: %q", m.name, err, m.legacy)
		}
	}
}

// What the libraries accept and we do not. Rows A, B and E are about the
// certificate: the signature is real, and chain refuses it.
func TestWhatLibrariesAccept(t *testing.T) {
	p := trusttest.New(t)
	sign := func(signer string, attributes ...[]byte) []byte {
		return trusttest.Sign(trusttest.Message{Signer: p.Get(signer), Content: signed, Attributes: attributes})
	}
	find := func(name string) []byte {
		for _, f := range forgeries {
			if f.name == name {
				return f.make(t)
			}
		}
		t.Fatalf("no forgery %q", name)
		return nil
	}
	// The expired signer claims to have signed while it still could.
	backDated := trusttest.Attribute(trusttest.OIDSigningTime, trusttest.Encode(p.Now.Add(-2*365*24*time.Hour)))
	for _, tc := range []struct {
		row  string
		der  []byte
		want error // of ours; nil if the signature is real
		both bool  // the maintained library accepts it with our roots
	}{
		{"A: a certificate of the signer's own making", sign(trusttest.SelfSigned), nil, false},
		{"B: a certificate for servers", sign(trusttest.ServerAuth), nil, true},
		{"C: content of another type", find("content of another type (row C)"), cms.ErrForged, true},
		{"D: attributes made the content", find("attributes made the content (row D)"), cms.ErrMalformed, true},
		{"E: expired and back-dated", sign(trusttest.Expired, backDated), nil, true},
	} {
		t.Run(tc.row, func(t *testing.T) {
			if err := guarded(tc.der); err != nil {
				t.Errorf("the old library has learned to refuse it: %v", err)
			}
			roots := x509.NewCertPool()
			roots.AddCert(p.Get(trusttest.Root).Certificate)
			p7, err := pkcs7.Parse(tc.der)
			if err == nil {
				err = p7.VerifyWithChain(roots)
			}
			if (err == nil) != tc.both {
				t.Errorf("the maintained library: %v", err)
			}
			d, err := cms.Parse(tc.der)
			if err != nil {
				t.Fatal(err)
			}
			s, err := d.Verify(nil)
			if !errors.Is(err, tc.want) {
				t.Fatalf("got %v, want %v", err, tc.want)
			}
			if err != nil {
				return
			}
			if v := p.Anchors().CodeSigner(s.Certificate, d.Certificates, time.Time{}); v.Standing != core.Untrusted {
				t.Errorf("trusted: %s", v.Reason)
			}
		})
	}
	for _, three := range [][]byte{{0x30, 0x80}, {0x30, 0x84}, {0x30, 0x82, 0x01}, {0x1f, 0x85, 0x85}} {
		if _, err := cms.Parse(three); !errors.Is(err, cms.ErrMalformed) {
			t.Errorf("row F: % x: %v", three, err)
		}
		if guarded(three) == nil {
			t.Errorf("row F: % x is accepted by the old library", three)
		}
	}
}
