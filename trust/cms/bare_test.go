package cms_test

import (
	"crypto"
	"crypto/x509"
	"errors"
	"testing"

	"kpm/trust/cms"
	"kpm/trust/trusttest"
)

// Signatures without attributes, for fs-verity: the content's own magic has to
// keep them apart from signatures with attributes.
func TestVerifyBare(t *testing.T) {
	p := trusttest.New(t)
	content := []byte("FSVerity and a digest")
	bare := trusttest.Message{Signer: p.Get(trusttest.Good), Content: content, Detached: true, Bare: true}
	candidates := []*x509.Certificate{p.Get(trusttest.GoodEC).Certificate, p.Get(trusttest.Good).Certificate}
	for _, tc := range []struct {
		name       string
		change     func(m *trusttest.Message, f *trusttest.Forgery)
		content    []byte
		candidates []*x509.Certificate
		want       error
	}{
		{name: "with its certificate"},
		{name: "with the certificate from elsewhere", candidates: candidates, change: func(_ *trusttest.Message, f *trusttest.Forgery) { f.Data().Remove(3) }},
		{name: "without certificate", change: func(_ *trusttest.Message, f *trusttest.Forgery) { f.Data().Remove(3) }, want: cms.ErrMalformed},
		{name: "of other content", content: []byte("FSVerity and another"), want: cms.ErrForged},
		{name: "of no content", content: []byte{}, want: cms.ErrForged},
		{name: "changed", change: func(_ *trusttest.Message, f *trusttest.Forgery) { f.Value().Body[3] ^= 1 }, want: cms.ErrForged},
		{name: "attached", change: func(m *trusttest.Message, f *trusttest.Forgery) {
			m.Detached = false
			*f = *trusttest.Take(trusttest.Sign(*m))
		}, want: cms.ErrMalformed},
		{name: "with attributes", change: func(m *trusttest.Message, f *trusttest.Forgery) {
			m.Bare = false
			*f = *trusttest.Take(trusttest.Sign(*m))
		}, want: cms.ErrMalformed},
		{name: "of another content type", change: func(m *trusttest.Message, f *trusttest.Forgery) {
			m.Type = trusttest.OIDTSTInfo
			*f = *trusttest.Take(trusttest.Sign(*m))
		}, want: cms.ErrMalformed},
		{name: "digest not announced", change: func(_ *trusttest.Message, f *trusttest.Forgery) { f.Digests().Children = nil }, want: cms.ErrMalformed},
		{name: "digest unknown", change: func(_ *trusttest.Message, f *trusttest.Forgery) {
			f.Digests().Children[0] = algorithmID(oid(1, 2, 3))
			f.Signer().Children[digestAlgorithm] = algorithmID(oid(1, 2, 3))
		}, want: cms.ErrUnsupported},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m := bare
			f := trusttest.Take(trusttest.Sign(m))
			if tc.change != nil {
				tc.change(&m, f)
			}
			d, err := cms.Parse(f.DER())
			if err != nil {
				t.Fatal(err)
			}
			about := content
			if tc.content != nil {
				about = tc.content
			}
			s, err := d.VerifyBare(about, tc.candidates)
			if !errors.Is(err, tc.want) || err == nil && !s.Certificate.Equal(p.Get(trusttest.Good).Certificate) {
				t.Errorf("got %v, want %v", err, tc.want)
			}
		})
	}
}

// Row D, the other way round: a signature with attributes, presented as one
// without over its own attributes.
func TestVerifyBareRefusesAttributesAsContent(t *testing.T) {
	p := trusttest.New(t)
	f := trusttest.Take(trusttest.Sign(trusttest.Message{Signer: p.Get(trusttest.Good), Content: signed, Detached: true}))
	set := f.Signed().Clone()
	set.ID = 0x31
	f.Signer().Remove(signedAttributes)
	d, err := cms.Parse(f.DER())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.VerifyBare(set.DER(), nil); !errors.Is(err, cms.ErrForged) {
		t.Errorf("got %v", err)
	}
}

func TestCountersignature(t *testing.T) {
	p := trusttest.New(t)
	s, err := verify(start(t, trusttest.GoodEC).DER())
	if err != nil {
		t.Fatal(err)
	}
	stamper := p.Get(trusttest.Stamper)
	make := func(over []byte, more ...[]byte) []byte {
		return trusttest.Countersignature(stamper, over, p.Now, crypto.SHA256, more...)
	}
	flip := func(der []byte, i int) []byte { der[i] ^= 1; return der }
	for _, tc := range []struct {
		name         string
		der          []byte
		certificates []*x509.Certificate
		want         error
	}{
		{"good", make(s.Signature), stamper.Chain(), nil},
		{"with content type data, as PKCS #9", make(s.Signature, trusttest.Attribute(trusttest.OIDContentType, trusttest.Encode(trusttest.OIDData))), stamper.Chain(), nil},
		{"with another content type", make(s.Signature, trusttest.Attribute(trusttest.OIDContentType, trusttest.Encode(trusttest.OIDTSTInfo))), stamper.Chain(), cms.ErrForged},
		{"with the content type twice", make(s.Signature, trusttest.Attribute(trusttest.OIDContentType, trusttest.Encode(trusttest.OIDData)), trusttest.Attribute(trusttest.OIDContentType, trusttest.Encode(trusttest.OIDData))), stamper.Chain(), cms.ErrMalformed},
		{"with two times", make(s.Signature, trusttest.Attribute(trusttest.OIDSigningTime, trusttest.Encode(p.Now))), stamper.Chain(), cms.ErrMalformed},
		{"of another signature", make([]byte("other")), stamper.Chain(), cms.ErrForged},
		{"changed", flip(make(s.Signature), len(make(s.Signature))-9), stamper.Chain(), cms.ErrForged},
		{"without certificate", make(s.Signature), nil, cms.ErrMalformed},
		{"cut", make(s.Signature)[:100], stamper.Chain(), cms.ErrMalformed},
		{"extended", append(make(s.Signature), 0), stamper.Chain(), cms.ErrMalformed},
		{"empty", nil, stamper.Chain(), cms.ErrMalformed},
	} {
		t.Run(tc.name, func(t *testing.T) {
			by, err := s.Countersignature(tc.der, tc.certificates)
			if !errors.Is(err, tc.want) || err == nil && !by.Certificate.Equal(stamper.Certificate) {
				t.Errorf("got %v, want %v", err, tc.want)
			}
		})
	}
}
