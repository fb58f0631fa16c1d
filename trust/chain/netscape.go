package chain

import (
	"crypto/x509"
	"encoding/asn1"
)

// oidNetscapeType is netscape-cert-type (Netscape Certificate Extensions,
// version 3), which OpenSSL's configurations of old marked critical. Debian's CA
// of signed boot loaders and kernels has it.
var oidNetscapeType = asn1.ObjectIdentifier{2, 16, 840, 1, 113730, 1, 1}

// Its bits: what the certificate is for, and what those may be for that it
// issues.
const (
	netscapeObjectSigning   = 3
	netscapeObjectSigningCA = 7
)

// netscapeAllows reports whether c, an issuer or a signer of code, has no
// critical certificate type or one that is for that. One that is not critical
// binds nobody.
func netscapeAllows(c *x509.Certificate, issuer bool) bool {
	bit := netscapeObjectSigning
	if issuer {
		bit = netscapeObjectSigningCA
	}
	for _, e := range c.Extensions {
		if !e.Critical || !e.Id.Equal(oidNetscapeType) {
			continue
		}
		var kinds asn1.BitString
		if rest, err := asn1.Unmarshal(e.Value, &kinds); err != nil || len(rest) > 0 || kinds.At(bit) != 1 {
			return false
		}
	}
	return true
}
