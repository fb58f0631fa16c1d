package chain_test

import (
	"crypto/elliptic"
	"crypto/x509"
	"math/big"
	"testing"
	"time"

	"kpm/core"
	"kpm/trust/trusttest"
)

// Attack: issuers that only share a name with the real one come along, so many
// and so slow that nobody gets to the real one, or is done with them in time.
func TestIssuersInNameOnlyAreNotTried(t *testing.T) {
	p := trusttest.New(t)
	leaf := p.Get(trusttest.Good)
	chain := leaf.Chain()
	real, key := chain[1], newKey(t, elliptic.P256())
	var others []*x509.Certificate
	for i := range 120 { // x509.Verify tries a hundred
		forged, err := trusttest.Issue("forged", x509.Certificate{
			SerialNumber: big.NewInt(int64(1000 + i)), RawSubject: real.RawSubject, SubjectKeyId: real.SubjectKeyId,
			NotBefore: real.NotBefore, NotAfter: real.NotAfter,
			IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
		}, key, nil)
		if err != nil {
			t.Fatal(err)
		}
		others = append(others, forged.Certificate)
	}
	a := p.Anchors()
	if v := a.CodeSigner(leaf.Certificate, append(others, chain[1:]...), time.Time{}); v.Standing != core.Trusted {
		t.Errorf("%s: %s", v.Standing, v.Reason)
	}
	if v := a.CodeSigner(leaf.Certificate, others, time.Time{}); v.Standing != core.Untrusted {
		t.Errorf("without the real one: %s", v.Standing)
	}
}
