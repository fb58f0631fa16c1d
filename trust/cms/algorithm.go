package cms

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	_ "crypto/md5" // so that an old signature is Untrusted and not unreadable
	"crypto/rsa"
	_ "crypto/sha1" // the same
	_ "crypto/sha256"
	_ "crypto/sha512"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
)

// Signature algorithms (RFC 3279, RFC 4055, RFC 5754, RFC 5753).
var (
	oidRSA = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 1}
	oidPSS = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 10}
	oidMGF = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 8}
	oidEC  = asn1.ObjectIdentifier{1, 2, 840, 10045, 2, 1}
)

// hashes are the digest algorithms with what names them in combination with
// RSA and ECDSA.
var hashes = []struct {
	hash            crypto.Hash
	oid, rsa, ecdsa asn1.ObjectIdentifier
}{
	{crypto.SHA256, asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 1}, asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 11}, asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 2}},
	{crypto.SHA384, asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 2}, asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 12}, asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 3}},
	{crypto.SHA512, asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 3}, asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 13}, asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 4}},
	{crypto.SHA1, asn1.ObjectIdentifier{1, 3, 14, 3, 2, 26}, asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 5}, asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 1}},
	{crypto.MD5, asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 5}, asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 4}, nil},
}

// Bounds of RSA keys in bits: below the first anyone can forge, and below the
// second crypto/rsa does not verify.
const (
	strongRSA = 2048
	leastRSA  = 1024
)

// HashOf returns the hash that an AlgorithmIdentifier's object identifier
// names, or ErrUnsupported.
func HashOf(oid asn1.ObjectIdentifier) (crypto.Hash, error) {
	for _, h := range hashes {
		if h.oid.Equal(oid) {
			return h.hash, nil
		}
	}
	return 0, fmt.Errorf("digest algorithm %v: %w", oid, ErrUnsupported)
}

// Forgeable reports whether two contents with the same digest can be made.
func Forgeable(h crypto.Hash) bool { return h == crypto.SHA1 || h == crypto.MD5 }

// digest returns the hash of the signer.
func (s *signerInfo) hash() (crypto.Hash, error) {
	if !s.digest.plain() {
		return 0, fmt.Errorf("digest algorithm with parameters: %w", ErrMalformed)
	}
	return HashOf(s.digest.oid)
}

// check verifies the signature over octets with the key of c. The algorithm
// that the signer names has to agree with the digest and with the key: nothing
// is left for a verifier to choose.
func (s *signerInfo) check(c *x509.Certificate, hash crypto.Hash, octets []byte) (weakKey bool, err error) {
	kind, err := s.kind(hash)
	if err != nil {
		return false, err
	}
	h := hash.New()
	h.Write(octets)
	sum := h.Sum(nil)
	switch key := c.PublicKey.(type) {
	case *rsa.PublicKey:
		if key.N.BitLen() < leastRSA {
			return false, fmt.Errorf("RSA key of %d bits: %w", key.N.BitLen(), ErrUnsupported)
		}
		switch kind {
		case "rsa":
			err = rsa.VerifyPKCS1v15(key, hash, sum, s.value)
			// Time-stampers of VeriSign and Symantec padded the digest alone, which
			// PKCS #7 never allowed: nothing says whose digest it is. It is theirs, and
			// proves nothing. Other signers never did.
			if err != nil && s.counter && hash == crypto.SHA1 && rsa.VerifyPKCS1v15(key, 0, sum, s.value) == nil {
				return false, fmt.Errorf("signature of a digest that does not say which it is: %w", ErrUnsupported)
			}
		case "pss":
			var salt int
			if salt, err = s.pssSalt(hash); err != nil {
				return false, err
			}
			err = rsa.VerifyPSS(key, hash, sum, s.value, &rsa.PSSOptions{SaltLength: salt, Hash: hash})
		default:
			err = errors.New("the algorithm is not the key's")
		}
		weakKey = key.N.BitLen() < strongRSA
	case *ecdsa.PublicKey:
		switch key.Curve {
		case elliptic.P256(), elliptic.P384(), elliptic.P521():
		default:
			return false, fmt.Errorf("curve %s: %w", key.Params().Name, ErrUnsupported)
		}
		if kind != "ecdsa" || !ecdsa.VerifyASN1(key, sum, s.value) {
			err = errors.New("not made with the signer's key")
		}
	default:
		return false, fmt.Errorf("public key of type %T: %w", key, ErrUnsupported)
	}
	if err != nil {
		return false, fmt.Errorf("%w: %w", ErrForged, err)
	}
	return weakKey, nil
}

// kind says which of "rsa" (PKCS #1 v1.5), "pss" and "ecdsa" the signature
// algorithm is. One that names a hash has to name the signer's.
func (s *signerInfo) kind(hash crypto.Hash) (string, error) {
	oid := s.signature.oid
	if oid.Equal(oidPSS) {
		return "pss", nil
	}
	if oid.Equal(oidEC) { // its parameters may name the curve; the certificate does
		return "ecdsa", nil
	}
	kind, named := "", crypto.Hash(0)
	if oid.Equal(oidRSA) {
		kind, named = "rsa", hash
	}
	for _, h := range hashes {
		switch {
		case h.rsa.Equal(oid):
			kind, named = "rsa", h.hash
		case h.ecdsa.Equal(oid):
			kind, named = "ecdsa", h.hash
		}
	}
	switch {
	case kind == "":
		return "", fmt.Errorf("signature algorithm %v: %w", oid, ErrUnsupported)
	case named != hash:
		return "", fmt.Errorf("signature and digest algorithm disagree: %w", ErrMalformed)
	case !s.signature.plain():
		return "", fmt.Errorf("signature algorithm with parameters: %w", ErrMalformed)
	}
	return kind, nil
}

// pssSalt reads RSASSA-PSS-params (RFC 4055, section 3.1) and returns the salt
// length in bytes. Both hashes have to be the signer's.
func (s *signerInfo) pssSalt(hash crypto.Hash) (int, error) {
	malformed := fmt.Errorf("RSASSA-PSS parameters: %w", ErrMalformed)
	var p struct {
		Hash    pssAlgorithm `asn1:"explicit,tag:0,optional"` // SHA-1 if absent
		MGF     pssAlgorithm `asn1:"explicit,tag:1,optional"` // MGF1 with SHA-1 if absent
		Salt    int          `asn1:"explicit,tag:2,optional,default:20"`
		Trailer int          `asn1:"explicit,tag:3,optional,default:1"`
	}
	if rest, err := asn1.Unmarshal(s.signature.parameters, &p); err != nil || len(rest) > 0 {
		return 0, malformed
	}
	inner, err := p.MGF.generator()
	if err != nil {
		return 0, malformed
	}
	for _, a := range []pssAlgorithm{p.Hash, inner} {
		named := crypto.SHA1
		if len(a.Algorithm) > 0 {
			if named, err = HashOf(a.Algorithm); err != nil {
				return 0, err
			}
			if !a.plain() {
				return 0, malformed
			}
		}
		if named != hash {
			return 0, fmt.Errorf("RSASSA-PSS and digest algorithm disagree: %w", ErrMalformed)
		}
	}
	// A shorter salt than RFC 8017, section 9.1, recommends is not made by any
	// signer; 0 would let crypto/rsa take any.
	if p.Salt < hash.Size() || p.Salt > maxKeyBits/8 || p.Trailer != 1 {
		return 0, malformed
	}
	return p.Salt, nil
}

type pssAlgorithm struct {
	Algorithm  asn1.ObjectIdentifier
	Parameters asn1.RawValue `asn1:"optional"`
}

func (a pssAlgorithm) plain() bool {
	return len(a.Parameters.FullBytes) == 0 || bytes.Equal(a.Parameters.FullBytes, asn1.NullBytes)
}

// generator returns the hash of a mask generation function, which is MGF1.
func (a pssAlgorithm) generator() (pssAlgorithm, error) {
	var inner pssAlgorithm
	if len(a.Algorithm) == 0 {
		return inner, nil
	}
	if !a.Algorithm.Equal(oidMGF) {
		return inner, errors.New("not MGF1")
	}
	rest, err := asn1.Unmarshal(a.Parameters.FullBytes, &inner)
	if err == nil && len(rest) > 0 {
		err = errors.New("trailing data")
	}
	return inner, err
}
