package ima

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/x509"
	"encoding/asn1"
	"encoding/binary"
	"fmt"
	"time"

	"kpm/core"
	"kpm/trust/chain"
)

// Bits that a key must have: less is weak. An RSA key below checkedRSABits is
// not even tried.
const (
	minRSABits     = 2048
	minECBits      = 256
	checkedRSABits = 1024
)

// Keys are the certificates of those whose signatures on files are trusted.
type Keys struct {
	// Now is the clock, time.Now if nil.
	Now func() time.Time

	byID map[uint32][]*x509.Certificate
	all  []*x509.Certificate
}

// NewKeys returns the keys of certificates. That one is configured is what
// entitles its holder; it needs no issuer and no extended key usage.
func NewKeys(certificates []*x509.Certificate) *Keys {
	k := &Keys{byID: map[uint32][]*x509.Certificate{}, all: certificates}
	for _, c := range certificates {
		// Both ids: the kernel goes by the extension, evmctl by the key if
		// --keyid-from-cert is not given.
		named := keyIDOf(subjectKeyID(c))
		k.byID[named] = append(k.byID[named], c)
		if computed := keyIDOf(computedKeyID(c)); computed != named {
			k.byID[computed] = append(k.byID[computed], c)
		}
	}
	return k
}

// subjectKeyID is the extension's value, or what it would be.
func subjectKeyID(c *x509.Certificate) []byte {
	if len(c.SubjectKeyId) >= 4 {
		return c.SubjectKeyId
	}
	return computedKeyID(c)
}

// computedKeyID is the SHA-1 of the public key (RFC 5280, section 4.2.1.2,
// method 1).
func computedKeyID(c *x509.Certificate) []byte {
	var info struct {
		Algorithm asn1.RawValue
		Key       asn1.BitString
	}
	_, _ = asn1.Unmarshal(c.RawSubjectPublicKeyInfo, &info) // crypto/x509 has read it before
	sum := sha1.Sum(info.Key.RightAlign())
	return sum[:]
}

// keyIDOf is the id in signature_v2_hdr: the last four bytes.
func keyIDOf(id []byte) uint32 { return binary.BigEndian.Uint32(id[len(id)-4:]) }

// named returns the certificates with that id; there may be several, since 32
// bits tell no keys apart for sure and a renewed certificate keeps its key.
func (k *Keys) named(id uint32) []*x509.Certificate { return k.byID[id] }

// judge completes e: it looks for a candidate whose key made the signature, of
// which there is at least one, and then at the certificate. changed is the
// reason if none did.
func (k *Keys) judge(e core.Evidence, candidates []*x509.Certificate, a algorithm, digest, signature []byte, changed string) core.Evidence {
	var best *core.Evidence
	short := false
	for _, c := range candidates {
		ok, checkable := verify(c.PublicKey, a.hash, digest, signature)
		short = short || !checkable
		if !ok {
			continue
		}
		if judged := k.judgeSigner(e, c, a); best == nil || judged.Standing > best.Standing {
			best = &judged
		}
	}
	switch {
	case best != nil:
		return *best
	case short:
		return untrusted(e, "the signer's key is too short to be checked")
	}
	e.Checks = append(e.Checks, core.Check{Name: "signature", Outcome: core.Failed})
	return broken(e, changed)
}

// verify reports whether key made the signature, and whether that can be told.
func verify(key crypto.PublicKey, h crypto.Hash, digest, signature []byte) (ok, checkable bool) {
	switch key := key.(type) {
	case *rsa.PublicKey:
		if key.N.BitLen() < checkedRSABits {
			return false, false
		}
		return rsa.VerifyPKCS1v15(key, h, digest, signature) == nil, true
	case *ecdsa.PublicKey:
		return ecdsa.VerifyASN1(key, digest, signature), true
	}
	return false, true // the kernel knows no other kind of key here
}

// judgeSigner judges the certificate whose key has made an intact signature.
func (k *Keys) judgeSigner(e core.Evidence, c *x509.Certificate, a algorithm) core.Evidence {
	now := time.Now
	if k.Now != nil {
		now = k.Now
	}
	e.Signer = chain.SignerName(c)
	e.Chain = chain.DescribeAll([]*x509.Certificate{c})
	e.Checks = append(e.Checks[:len(e.Checks):len(e.Checks)], core.Check{Name: "signature", Outcome: core.Passed})
	fault := ""
	switch weak := weakness(c.PublicKey); {
	case a.weak:
		fault = "the signature uses " + a.name + ", for which two files with the same digest can be made"
	case weak != "":
		fault = weak
	case now().Before(c.NotBefore):
		fault = "the signer's certificate is not valid yet"
	case now().After(c.NotAfter):
		fault = "the signer's certificate has expired"
	case c.KeyUsage != 0 && c.KeyUsage&x509.KeyUsageDigitalSignature == 0:
		fault = "the signer's certificate is not for signatures"
	}
	if fault != "" {
		e.Checks = append(e.Checks, core.Check{Name: "certificate", Outcome: core.Failed})
		return untrusted(e, fault)
	}
	e.Checks = append(e.Checks, core.Check{Name: "certificate", Outcome: core.Passed, Detail: "it is one of those that are configured, and valid now"}, revocation)
	e.Standing, e.Reason = core.Trusted, "a trusted key has signed it"
	return e
}

// weakness says what is wrong with a key, "" if nothing is.
func weakness(key crypto.PublicKey) string {
	switch key := key.(type) {
	case *rsa.PublicKey:
		if bits := key.N.BitLen(); bits < minRSABits {
			return fmt.Sprintf("the signer's RSA key has only %d bits", bits)
		}
	case *ecdsa.PublicKey:
		if bits := key.Params().BitSize; bits < minECBits {
			return fmt.Sprintf("the signer's elliptic curve has only %d bits", bits)
		}
	}
	return ""
}
