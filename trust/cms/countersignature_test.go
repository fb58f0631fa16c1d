package cms_test

import (
	"crypto"
	"crypto/x509"
	"errors"
	"testing"

	"kpm/trust/cms"
	"kpm/trust/trusttest"
)

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
