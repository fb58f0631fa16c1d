//go:build linux

package kernel_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/x509"
	"crypto/x509/pkix"
	"testing"
	"time"

	"kpm/trust/trusttest"
)

// signer is somebody who signs files.
type signer struct {
	trusttest.Files
	der []byte
}

// people are those whom a test knows. The kernel and we are given all but the
// stranger.
type people struct{ good, ec, expired, stranger signer }

func newPeople(t *testing.T) *people {
	t.Helper()
	day := 24 * time.Hour
	newRSA := func() crypto.Signer {
		k, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	make := func(name string, key crypto.Signer, until time.Duration) signer {
		id := sha1.Sum([]byte(name))
		e, err := trusttest.Issue(name, x509.Certificate{
			Subject: pkix.Name{CommonName: name}, SubjectKeyId: id[:], KeyUsage: x509.KeyUsageDigitalSignature,
			NotBefore: time.Now().Add(-9 * day), NotAfter: time.Now().Add(until),
		}, key, nil)
		if err != nil {
			t.Fatal(err)
		}
		return signer{e.Files(t), e.Certificate.Raw}
	}
	return &people{good: make("good", newRSA(), day), ec: make("ec", ec, day), expired: make("expired", newRSA(), -day), stranger: make("stranger", newRSA(), day)}
}

func (p *people) trusted() [][]byte { return [][]byte{p.good.der, p.ec.der, p.expired.der} }
