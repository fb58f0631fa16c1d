package chain_test

import (
	"crypto/elliptic"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"testing"
	"time"

	"kpm/core"
	"kpm/trust/chain"
	"kpm/trust/trusttest"
)

// netscape is a certificate type with the given bits.
func netscape(critical bool, bits ...int) pkix.Extension {
	kinds := asn1.BitString{Bytes: []byte{0}, BitLength: 8}
	for _, bit := range bits {
		kinds.Bytes[0] |= 0x80 >> bit
	}
	return extension(critical, trusttest.Encode(kinds), 2, 16, 840, 1, 113730, 1, 1)
}

// A root of old names what it is for in Netscape's way, and marks it critical.
func TestNetscapeCertificateTypes(t *testing.T) {
	now := trusttest.New(t).Now
	all := []int{0, 1, 2, 3, 5, 6, 7}
	for name, tc := range map[string]struct {
		root, leaf []pkix.Extension
		want       core.Standing
		reason     string
	}{
		"a root for everything":            {root: []pkix.Extension{netscape(true, all...)}, want: core.Trusted},
		"a root for code":                  {root: []pkix.Extension{netscape(true, 7)}, want: core.Trusted},
		"a root for servers":               {root: []pkix.Extension{netscape(true, 1, 5)}, want: core.Untrusted, reason: "not for code"},
		"a root that signs code itself":    {root: []pkix.Extension{netscape(true, 3)}, want: core.Untrusted, reason: "not for code"},
		"a root for servers, not critical": {root: []pkix.Extension{netscape(false, 5)}, want: core.Trusted},
		"a root for nothing":               {root: []pkix.Extension{netscape(true)}, want: core.Untrusted, reason: "not for code"},
		"a type that is none":              {root: []pkix.Extension{extension(true, null, 2, 16, 840, 1, 113730, 1, 1)}, want: core.Untrusted, reason: "not for code"},
		"a signer of code":                 {leaf: []pkix.Extension{netscape(true, 3)}, want: core.Trusted},
		"a signer of mail":                 {leaf: []pkix.Extension{netscape(true, 2, 7)}, want: core.Untrusted, reason: "not for code"},
		"with another one, not understood": {root: []pkix.Extension{netscape(true, all...), extension(true, null, 1, 2, 3)}, want: core.Untrusted, reason: "not understood"},
	} {
		t.Run(name, func(t *testing.T) {
			root := issue(t, x509.Certificate{
				Subject: pkix.Name{CommonName: "Root"}, NotBefore: now.Add(-year), NotAfter: now.Add(year), ExtraExtensions: tc.root,
				IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
			}, newKey(t, elliptic.P256()), nil)
			signer := issue(t, x509.Certificate{
				Subject: pkix.Name{CommonName: "Signer"}, NotBefore: now.Add(-year), NotAfter: now.Add(year), ExtraExtensions: tc.leaf,
				KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning},
			}, newKey(t, elliptic.P256()), root)
			a := &chain.Anchors{CodeRoots: []*x509.Certificate{root.Certificate}}
			expect(t, a.CodeSigner(signer.Certificate, signer.Chain(), time.Time{}), tc.want, tc.reason)
		})
	}
}

// Decision 41: what `openssl req -x509` makes calls itself a CA and names no use.
func TestPinnedAsCommonToolsMakeThem(t *testing.T) {
	now := trusttest.New(t).Now
	made := func(change func(c *x509.Certificate)) *trusttest.Entity {
		c := x509.Certificate{Subject: pkix.Name{CommonName: "Own"}, NotBefore: now.Add(-year), NotAfter: now.Add(year), IsCA: true, BasicConstraintsValid: true}
		change(&c)
		return issue(t, c, newKey(t, elliptic.P256()), nil)
	}
	for name, tc := range map[string]struct {
		change func(c *x509.Certificate)
		want   core.Standing
		reason string
	}{
		"as it is":                {func(*x509.Certificate) {}, core.Trusted, "thumbprint"},
		"for code":                {func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning} }, core.Trusted, "thumbprint"},
		"for servers":             {func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }, core.Untrusted, "may not sign code"},
		"for issuing and no more": {func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageCertSign }, core.Untrusted, "may not make signatures"},
		"for issuing and signing": {func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature }, core.Trusted, "thumbprint"},
		"expired":                 {func(c *x509.Certificate) { c.NotAfter = now.Add(-time.Hour) }, core.Untrusted, "has expired"},
		"not valid yet":           {func(c *x509.Certificate) { c.NotBefore = now.Add(time.Hour) }, core.Untrusted, "not valid yet"},
	} {
		e := made(tc.change)
		a := &chain.Anchors{Thumbprints: map[string]bool{chain.Describe(e.Certificate).SHA256: true}}
		expect(t, a.CodeSigner(e.Certificate, nil, time.Time{}), tc.want, tc.reason)
		if v := new(chain.Anchors).CodeSigner(e.Certificate, nil, time.Time{}); v.Standing == core.Trusted {
			t.Errorf("%s: trusted without a thumbprint", name)
		}
	}
	// A pinned CA speaks for itself and not for whom it has issued to.
	own := made(func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature })
	below := issue(t, x509.Certificate{
		Subject: pkix.Name{CommonName: "Below"}, NotBefore: now.Add(-year), NotAfter: now.Add(year),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning},
	}, newKey(t, elliptic.P256()), own)
	a := &chain.Anchors{Thumbprints: map[string]bool{chain.Describe(own.Certificate).SHA256: true}}
	expect(t, a.CodeSigner(below.Certificate, []*x509.Certificate{own.Certificate}, time.Time{}), core.Untrusted, "leads to no configured root")
}
