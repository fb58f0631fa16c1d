package chain

import (
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
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
		Subject: printable(c.Subject.String()), Issuer: printable(c.Issuer.String()),
		Serial: c.SerialNumber.Text(16),
		SHA1:   hex.EncodeToString(one[:]), SHA256: hex.EncodeToString(two[:]), SPKI: hex.EncodeToString(key[:]),
		NotBefore: c.NotBefore.UTC(), NotAfter: c.NotAfter.UTC(),
	}
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
