package chain

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	"kpm/core"
)

var (
	oidKeyUsage    = asn1.ObjectIdentifier{2, 5, 29, 15}
	oidExtKeyUsage = asn1.ObjectIdentifier{2, 5, 29, 37}
	// oidLifetime is szOID_KP_LIFETIME_SIGNING: signatures end with the
	// certificate, time-stamped or not (Microsoft, wincrypt.h).
	oidLifetime = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 10, 3, 13}
)

// leastRSA is the size of RSA keys in bits below which signatures count as
// forgeable (NIST SP 800-131A revision 2, section 3).
const leastRSA = 2048

// mayCode wants a certificate that was issued to sign code and nothing that
// merely could: no CA, and the usage said in so many words. A certificate
// without extended key usage, or for any, was issued for something else.
func mayCode(leaf *x509.Certificate) string {
	switch {
	case leaf.IsCA:
		return "is that of a certificate authority and not of a signer"
	case has(leaf, oidKeyUsage) && leaf.KeyUsage&x509.KeyUsageDigitalSignature == 0:
		return "may not make signatures"
	case !slices.Contains(leaf.ExtKeyUsage, x509.ExtKeyUsageCodeSigning):
		return "may not sign code"
	}
	return ""
}

// mayCodePinned is what is asked of a certificate that is trusted by itself: an
// administrator has looked at it, and common tools make self-signed ones that
// call themselves a CA and name no usage (decision 41). What it does say of its
// use has to fit.
func mayCodePinned(leaf *x509.Certificate) string {
	switch {
	case has(leaf, oidKeyUsage) && leaf.KeyUsage&x509.KeyUsageDigitalSignature == 0:
		return "may not make signatures"
	case has(leaf, oidExtKeyUsage) && !slices.Contains(leaf.ExtKeyUsage, x509.ExtKeyUsageCodeSigning):
		return "may not sign code"
	}
	return ""
}

// mayStamp wants the extended key usage timeStamping, alone. RFC 3161, section
// 2.3, wants it critical as well, which Microsoft's stampers until 2021 are not:
// that would tell others, who do not look at the usage, to keep away.
func mayStamp(leaf *x509.Certificate) string {
	const signing = x509.KeyUsageDigitalSignature | x509.KeyUsageContentCommitment
	switch {
	case leaf.IsCA:
		return "is that of a certificate authority and not of a time-stamper"
	case has(leaf, oidKeyUsage) && leaf.KeyUsage&signing == 0:
		return "may not make signatures"
	case len(leaf.ExtKeyUsage) != 1 || len(leaf.UnknownExtKeyUsage) != 0 || leaf.ExtKeyUsage[0] != x509.ExtKeyUsageTimeStamping:
		return "is not for time-stamps and nothing else"
	}
	return ""
}

// validity checks the leaf's own dates, as of the proven signing time if there
// is one and the certificate lets a time-stamp outlast it.
func (j *judgement) validity(leaf *x509.Certificate) {
	when, detail := j.asOf, "as of "+j.asOf.UTC().Format(time.RFC3339)
	if j.lifetime && slices.ContainsFunc(leaf.UnknownExtKeyUsage, oidLifetime.Equal) {
		when, detail = j.now, "as of now: its signatures end with it"
	}
	switch {
	case j.proven && j.asOf.After(j.now.Add(skew)):
		j.check("validity", "was used at a time that has not come yet", "")
	case when.Before(leaf.NotBefore):
		j.check("validity", "was not valid yet", "")
	case when.After(leaf.NotAfter) && when.Equal(j.now):
		j.verdict.Expired = j.verdict.Standing == core.Trusted
		j.check("validity", "has expired, on "+leaf.NotAfter.UTC().Format(time.DateOnly), "")
	case when.After(leaf.NotAfter):
		j.check("validity", "had expired when it was used, on "+leaf.NotAfter.UTC().Format(time.DateOnly), "")
	default:
		j.check("validity", "", detail)
	}
}

// pinned reports whether the certificate is trusted by itself.
func pinned(pins map[string]bool, c *x509.Certificate) bool {
	if len(pins) == 0 {
		return false
	}
	one, two := sha1.Sum(c.Raw), sha256.Sum256(c.Raw)
	return pins[hex.EncodeToString(two[:])] || pins[hex.EncodeToString(one[:])]
}

// weakness looks for keys that can be broken. Signatures of certificates with
// MD5 or SHA-1 lead to no path: x509.Verify refuses them, and does not look at
// that of the anchor, which proves nothing.
func weakness(path []*x509.Certificate) string {
	for i, c := range path {
		bad := ""
		switch key := c.PublicKey.(type) {
		case *rsa.PublicKey:
			if key.N.BitLen() < leastRSA {
				bad = fmt.Sprintf("an RSA key of %d bits, which can be broken", key.N.BitLen())
			}
		case *ecdsa.PublicKey:
			if key.Params().BitSize < 256 {
				bad = fmt.Sprintf("an elliptic curve key of %d bits, which can be broken", key.Params().BitSize)
			}
		case ed25519.PublicKey:
		default:
			bad = "a key of an unknown kind"
		}
		switch {
		case bad == "":
		case i == 0:
			return "has " + bad
		default:
			return "leads through " + bad
		}
	}
	return ""
}

func weakHash(c *x509.Certificate) bool {
	switch c.SignatureAlgorithm {
	case x509.MD2WithRSA, x509.MD5WithRSA, x509.SHA1WithRSA, x509.DSAWithSHA1, x509.ECDSAWithSHA1:
		return true
	}
	return false
}

func has(c *x509.Certificate, oid asn1.ObjectIdentifier) bool {
	for _, e := range c.Extensions {
		if e.Id.Equal(oid) {
			return true
		}
	}
	return false
}
