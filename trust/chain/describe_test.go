package chain_test

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
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
	if d.Subject != "CN=Good,O=Contoso Software,C=DE" || d.Issuer != all[1].Subject || strings.TrimLeft(d.Serial, "0") != e.Certificate.SerialNumber.Text(16) ||
		len(d.SHA1) != 40 || len(d.SHA256) != 64 || len(d.SPKI) != 64 || !d.NotAfter.Equal(e.Certificate.NotAfter) {
		t.Errorf("%+v", d)
	}
}

// Names begin with whom they name, call mail addresses and user ids by name, and
// no value looks like two. Serial numbers keep their zeros.
func TestNamesAndNumbersForPeople(t *testing.T) {
	attribute := func(value string, oid ...int) pkix.AttributeTypeAndValue {
		return pkix.AttributeTypeAndValue{Type: oid, Value: value}
	}
	for want, names := range map[string][]pkix.AttributeTypeAndValue{
		"CN=Developer ID Application: Vendor (T1),OU=T1,O=Vendor,UID=T1,C=US": {
			attribute("T1", 0, 9, 2342, 19200300, 100, 1, 1), attribute("Developer ID Application: Vendor (T1)", 2, 5, 4, 3),
			attribute("T1", 2, 5, 4, 11), attribute("Vendor", 2, 5, 4, 10), attribute("US", 2, 5, 4, 6)},
		"CN=Vendor,e-mail=a@example.org": {attribute("a@example.org", 1, 2, 840, 113549, 1, 9, 1), attribute("Vendor", 2, 5, 4, 3)},
		`CN=Vendor\,O=Contoso,1.2.3=x`:   {attribute("x", 1, 2, 3), attribute("Vendor,O=Contoso", 2, 5, 4, 3)},
		"CN=a,CN=b":                      {attribute("a", 2, 5, 4, 3), attribute("b", 2, 5, 4, 3)},
		"":                               nil,
	} {
		c := &x509.Certificate{Subject: pkix.Name{Names: names}, SerialNumber: big.NewInt(1)}
		if got := chain.Describe(c).Subject; got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	for number, want := range map[int64]string{0x0a1b2c: "0a1b2c", 0x10: "10", 0: "00", 0x7fffffffffffffff: "7fffffffffffffff", -0xabc: "-0abc"} {
		if got := chain.Describe(&x509.Certificate{SerialNumber: big.NewInt(number)}).Serial; got != want {
			t.Errorf("%d: %q, want %q", number, got, want)
		}
	}
}
