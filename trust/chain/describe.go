package chain

import (
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"fmt"
	"math/big"
	"strings"
	"unicode"

	"kpm/core"
)

// maxName bounds the names that are shown, in runes.
const maxName = 128

// Describe puts a certificate into words.
func Describe(c *x509.Certificate) core.Certificate {
	one, two, key := sha1.Sum(c.Raw), sha256.Sum256(c.Raw), sha256.Sum256(c.RawSubjectPublicKeyInfo)
	return core.Certificate{
		Subject: printable(nameOf(c.Subject)), Issuer: printable(nameOf(c.Issuer)),
		Serial: serialOf(c.SerialNumber),
		SHA1:   hex.EncodeToString(one[:]), SHA256: hex.EncodeToString(two[:]), SPKI: hex.EncodeToString(key[:]),
		NotBefore: c.NotBefore.UTC(), NotAfter: c.NotAfter.UTC(),
	}
}

// nameParts are the attributes of a name in the order in which people read them:
// who it is, then where that belongs (RFC 4519, RFC 2985).
var nameParts = []struct {
	oid  asn1.ObjectIdentifier
	name string
}{
	{asn1.ObjectIdentifier{2, 5, 4, 3}, "CN"}, {asn1.ObjectIdentifier{2, 5, 4, 11}, "OU"}, {asn1.ObjectIdentifier{2, 5, 4, 10}, "O"},
	{asn1.ObjectIdentifier{0, 9, 2342, 19200300, 100, 1, 1}, "UID"}, {asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 1}, "e-mail"},
	{asn1.ObjectIdentifier{2, 5, 4, 9}, "STREET"}, {asn1.ObjectIdentifier{2, 5, 4, 17}, "POSTALCODE"}, {asn1.ObjectIdentifier{2, 5, 4, 7}, "L"},
	{asn1.ObjectIdentifier{2, 5, 4, 8}, "ST"}, {asn1.ObjectIdentifier{2, 5, 4, 6}, "C"}, {asn1.ObjectIdentifier{2, 5, 4, 5}, "SERIALNUMBER"},
	{asn1.ObjectIdentifier{0, 9, 2342, 19200300, 100, 1, 25}, "DC"},
}

// nameOf is a name with all of its attributes, those without a name of their own
// last. A comma, plus or backslash within a value is marked, so that no value
// looks like two.
func nameOf(n pkix.Name) string {
	var parts []string
	add := func(name string, value any) {
		escaped := strings.NewReplacer(`\`, `\\`, ",", `\,`, "+", `\+`).Replace(fmt.Sprint(value))
		parts = append(parts, name+"="+escaped)
	}
	known := func(oid asn1.ObjectIdentifier) bool {
		for _, p := range nameParts {
			if p.oid.Equal(oid) {
				return true
			}
		}
		return false
	}
	attributes := n.Names
	if attributes == nil { // one that was not read from a certificate
		for _, set := range n.ToRDNSequence() {
			attributes = append(attributes, set...)
		}
	}
	for _, p := range nameParts {
		for _, a := range attributes {
			if a.Type.Equal(p.oid) {
				add(p.name, a.Value)
			}
		}
	}
	for _, a := range attributes {
		if !known(a.Type) {
			add(a.Type.String(), a.Value)
		}
	}
	return strings.Join(parts, ",")
}

// serialOf is a serial number in whole bytes, as other tools show it.
func serialOf(n *big.Int) string {
	if n == nil {
		return ""
	}
	digits := new(big.Int).Abs(n).Text(16)
	if len(digits)%2 != 0 {
		digits = "0" + digits
	}
	if n.Sign() < 0 {
		return "-" + digits
	}
	return digits
}

// DescribeAll is Describe for each of them.
func DescribeAll(certificates []*x509.Certificate) []core.Certificate {
	described := make([]core.Certificate, len(certificates))
	for i, c := range certificates {
		described[i] = Describe(c)
	}
	return described
}

// SignerName is what a certificate calls its owner: the organization, else the
// common name, else nothing. It is for people to read and grants nothing: two
// CAs may certify the same name (CVE-2020-12614).
func SignerName(c *x509.Certificate) string {
	for _, o := range c.Subject.Organization {
		if name := printable(o); name != "" {
			return name
		}
	}
	return printable(c.Subject.CommonName)
}

// printable keeps what can be shown on one line: no control, format or
// direction characters, with which a name could rewrite the line around it.
func printable(s string) string {
	var b strings.Builder
	n := 0
	for _, r := range s {
		if n == maxName {
			return strings.TrimSpace(b.String()) + "..."
		}
		if r == unicode.ReplacementChar || !unicode.IsPrint(r) {
			r = '?'
		}
		b.WriteRune(r)
		n++
	}
	return strings.TrimSpace(b.String())
}
