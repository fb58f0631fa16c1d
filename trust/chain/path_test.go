package chain_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"testing"
	"time"

	"kpm/core"
	"kpm/trust/chain"
	"kpm/trust/trusttest"
)

// Paths whose fault lies above the signer, each made for one test: root, CA,
// signer.
func TestIssuers(t *testing.T) {
	now := trusttest.New(t).Now
	p256 := func() crypto.Signer { return newKey(t, elliptic.P256()) }
	_, edwards, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name     string
		ca, leaf func(c *x509.Certificate)
		key      crypto.Signer // of the CA
		leafKey  crypto.Signer
		want     core.Standing
		reason   string
	}{
		{name: "good", want: core.Trusted},
		{name: "P-384", key: newKey(t, elliptic.P384()), want: core.Trusted},
		{name: "Ed25519", key: edwards, want: core.Trusted},
		{name: "P-224", key: newKey(t, elliptic.P224()), want: core.Untrusted, reason: "leads through an elliptic curve key of 224 bits"},
		{name: "signer's key P-224", leafKey: newKey(t, elliptic.P224()), want: core.Untrusted, reason: "has an elliptic curve key of 224 bits"},
		{name: "expired", ca: func(c *x509.Certificate) { c.NotAfter = now.Add(-year) }, want: core.Untrusted, reason: "issued by one that was not valid then"},
		{name: "not valid yet", ca: func(c *x509.Certificate) { c.NotBefore = now.Add(time.Hour) }, want: core.Untrusted, reason: "issued by one that was not valid then"},
		{name: "no CA", ca: func(c *x509.Certificate) { c.IsCA = false }, want: core.Untrusted, reason: "leads to no configured root"},
		{name: "without basic constraints", ca: func(c *x509.Certificate) { c.BasicConstraintsValid, c.IsCA = false, false }, want: core.Untrusted, reason: "leads to no configured root"},
		{name: "may not sign certificates", ca: func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageDigitalSignature }, want: core.Untrusted, reason: "leads to no configured root"},
		{name: "unknown critical extension", ca: func(c *x509.Certificate) {
			c.ExtraExtensions = []pkix.Extension{extension(true, null, 1, 2, 3)}
		}, want: core.Untrusted, reason: "critical extension that is not understood"},
		{name: "signer with unknown critical extension", leaf: func(c *x509.Certificate) {
			c.ExtraExtensions = []pkix.Extension{extension(true, null, 1, 2, 3)}
		}, want: core.Untrusted, reason: "critical extension that is not understood"},
		{name: "name constraints that hold", ca: func(c *x509.Certificate) {
			c.PermittedDNSDomainsCritical, c.PermittedDNSDomains, c.ExcludedEmailAddresses = true, []string{"example.com"}, []string{"example.net"}
		}, leaf: func(c *x509.Certificate) { c.DNSNames = []string{"a.example.com"} }, want: core.Trusted},
		{name: "usage among others", leaf: func(c *x509.Certificate) {
			c.ExtKeyUsage = append(c.ExtKeyUsage, x509.ExtKeyUsageClientAuth)
		}, want: core.Trusted},
		{name: "CA for any usage", ca: func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageAny} }, want: core.Trusted},
		{name: "CA for code", ca: func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning} }, want: core.Trusted},
		{name: "signer without key usage", leaf: func(c *x509.Certificate) { c.KeyUsage = 0 }, want: core.Trusted},
	} {
		t.Run(tc.name, func(t *testing.T) {
			ca := x509.Certificate{
				Subject: pkix.Name{CommonName: "CA"}, NotBefore: now.Add(-5 * year), NotAfter: now.Add(5 * year),
				IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
			}
			leaf := x509.Certificate{
				Subject: pkix.Name{CommonName: "Signer"}, NotBefore: now.Add(-2 * year), NotAfter: now.Add(year),
				KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning},
			}
			top := ca
			top.Subject.CommonName = "Root"
			root := issue(t, top, p256(), nil)
			for _, change := range []struct {
				of func(*x509.Certificate)
				on *x509.Certificate
			}{{tc.ca, &ca}, {tc.leaf, &leaf}} {
				if change.of != nil {
					change.of(change.on)
				}
			}
			if tc.key == nil {
				tc.key = p256()
			}
			if tc.leafKey == nil {
				tc.leafKey = p256()
			}
			issuer := issue(t, ca, tc.key, root)
			signer := issue(t, leaf, tc.leafKey, issuer)
			a := &chain.Anchors{CodeRoots: []*x509.Certificate{root.Certificate}}
			expect(t, a.CodeSigner(signer.Certificate, signer.Chain(), time.Time{}), tc.want, tc.reason)
		})
	}
}

func newKey(t testing.TB, curve elliptic.Curve) crypto.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func issue(t testing.TB, template x509.Certificate, key crypto.Signer, issuer *trusttest.Entity) *trusttest.Entity {
	t.Helper()
	e, err := trusttest.Issue(template.Subject.CommonName, template, key, issuer)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// A signer that is configured as a root itself is its own chain; nobody can
// have revoked it.
func TestSignerAsRoot(t *testing.T) {
	p := trusttest.New(t)
	e := p.Get(trusttest.SelfSigned)
	v := (&chain.Anchors{CodeRoots: []*x509.Certificate{e.Certificate}}).CodeSigner(e.Certificate, nil, time.Time{})
	expect(t, v, core.Trusted, "leads to a configured root")
	if len(v.Chain) != 1 || outcome(v, "revocation") != core.NotChecked {
		t.Errorf("%+v", v)
	}
}

// Of two paths the one that nothing speaks against counts: an issuer whose old
// certificate was revoked, and who has a new one for the same key.
func TestSecondPath(t *testing.T) {
	p := trusttest.New(t)
	root, old := p.Get(trusttest.Root), p.Get(trusttest.RevokedCA)
	template := *old.Certificate
	template.SerialNumber, template.ExtraExtensions = big.NewInt(77), nil
	renewed, err := trusttest.Issue("renewed", template, old.Key, root)
	if err != nil {
		t.Fatal(err)
	}
	leaf := p.Get(trusttest.BelowRevoked).Certificate
	for _, others := range [][]*x509.Certificate{{old.Certificate, renewed.Certificate}, {renewed.Certificate, old.Certificate}} {
		v := p.Anchors().CodeSigner(leaf, others, time.Time{})
		expect(t, v, core.Trusted, "")
		if len(v.Chain) != 3 || !v.Chain[1].Equal(renewed.Certificate) {
			t.Errorf("by way of %v", v.Chain[1].SerialNumber)
		}
	}
}

// The clock is the anchors' own where they have one.
func TestClock(t *testing.T) {
	p := trusttest.New(t)
	a, e := p.Anchors(), p.Get(trusttest.Expired)
	a.Now = func() time.Time { return p.Now.Add(-2 * year) }
	expect(t, a.CodeSigner(e.Certificate, e.Chain(), time.Time{}), core.Trusted, "")
}
