package chain_test

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"strings"
	"testing"

	"kpm/trust/chain"
	"kpm/trust/trusttest"
)

func TestSignerName(t *testing.T) {
	for _, tc := range []struct {
		name pkix.Name
		want string
	}{
		{pkix.Name{Organization: []string{"Contoso"}, CommonName: "Program"}, "Contoso"},
		{pkix.Name{CommonName: "Program"}, "Program"},
		{pkix.Name{Organization: []string{" ", "Contoso"}}, "Contoso"},
		{pkix.Name{}, ""},
		{pkix.Name{Organization: []string{"Contoso\x1b[2J\nTrusted: yes"}}, "Contoso?[2J?Trusted: yes"},
		{pkix.Name{Organization: []string{"Contoso \u202e exe.txt"}}, "Contoso ? exe.txt"},
		{pkix.Name{Organization: []string{"Conto\u200bso"}}, "Conto?so"},
		{pkix.Name{Organization: []string{"Con\xfftoso"}}, "Con?toso"},
		{pkix.Name{Organization: []string{"Müller & Söhne"}}, "Müller & Söhne"},
		{pkix.Name{Organization: []string{strings.Repeat("x", 1000)}}, strings.Repeat("x", 128) + "..."},
		{pkix.Name{Organization: []string{strings.Repeat("\n", 1000)}}, strings.Repeat("?", 128) + "..."},
	} {
		if got := chain.SignerName(&x509.Certificate{Subject: tc.name}); got != tc.want {
			t.Errorf("%q: got %q, want %q", tc.name, got, tc.want)
		}
	}
}

func TestDescribe(t *testing.T) {
	e := trusttest.New(t).Get(trusttest.Good)
	all := chain.DescribeAll(e.Chain())
	if len(all) != 2 || all[0] != chain.Describe(e.Certificate) {
		t.Fatalf("%+v", all)
	}
	d := all[0]
	if d.Subject != "CN=Good,O=Contoso Software,C=DE" || d.Issuer != all[1].Subject || d.Serial != e.Certificate.SerialNumber.Text(16) ||
		len(d.SHA1) != 40 || len(d.SHA256) != 64 || len(d.SPKI) != 64 || !d.NotAfter.Equal(e.Certificate.NotAfter) {
		t.Errorf("%+v", d)
	}
}
