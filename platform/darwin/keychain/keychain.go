// Package keychain decides which certificate of a Mac's keychain is meant, who has
// issued it, and what its key is asked for. It makes no call: package libsystem has
// the keychain's functions, and package darwin uses both.
package keychain

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
)

// Fits reports whether a certificate has a thumbprint, SHA-1 or SHA-256 in lower-case
// hex.
func Fits(der []byte, thumbprint string) bool {
	one, two := sha1.Sum(der), sha256.Sum256(der)
	return thumbprint == hex.EncodeToString(one[:]) || thumbprint == hex.EncodeToString(two[:])
}

// maxChain bounds a chain.
const maxChain = 8

// Chain returns a certificate and those that have issued it, the root last, as far as
// they are among others. What of others cannot be read is nobody's issuer.
func Chain(leaf []byte, others [][]byte) ([]*x509.Certificate, error) {
	last, err := x509.ParseCertificate(leaf)
	if err != nil {
		return nil, err
	}
	var all []*x509.Certificate
	for _, der := range others {
		if c, err := x509.ParseCertificate(der); err == nil {
			all = append(all, c)
		}
	}
	chain := []*x509.Certificate{last}
	for len(chain) < maxChain && !bytes.Equal(last.RawIssuer, last.RawSubject) {
		at := slices.IndexFunc(all, func(c *x509.Certificate) bool {
			return bytes.Equal(c.RawSubject, last.RawIssuer) && last.CheckSignatureFrom(c) == nil
		})
		if at < 0 {
			break
		}
		last = all[at]
		chain = append(chain, last)
	}
	return chain, nil
}

// hashes are the ends of the algorithms' names.
var hashes = map[crypto.Hash]string{crypto.SHA256: "SHA256", crypto.SHA384: "SHA384", crypto.SHA512: "SHA512"}

// Algorithm is the name of the constant by which a key is asked to sign a digest
// (Security/SecKey.h, SecKeyAlgorithm): RSA, by PKCS #1 v1.5 and PSS, and ECDSA, over
// SHA-256, SHA-384 and SHA-512. Each gives a signature as crypto.Signer has it.
func Algorithm(public crypto.PublicKey, digest []byte, opts crypto.SignerOpts) (string, error) {
	hash := opts.HashFunc()
	end, ok := hashes[hash]
	if !ok {
		return "", fmt.Errorf("%v: %w", hash, errors.ErrUnsupported)
	}
	if len(digest) != hash.Size() {
		return "", fmt.Errorf("a digest of %d bytes, expected %d", len(digest), hash.Size())
	}
	switch public.(type) {
	case *ecdsa.PublicKey:
		return "kSecKeyAlgorithmECDSASignatureDigestX962" + end, nil
	case *rsa.PublicKey:
		pss, ok := opts.(*rsa.PSSOptions)
		if !ok {
			return "kSecKeyAlgorithmRSASignatureDigestPKCS1v15" + end, nil
		}
		// The only salt that there is; TLS wants it so.
		if salt := pss.SaltLength; salt != rsa.PSSSaltLengthEqualsHash && salt != rsa.PSSSaltLengthAuto && salt != hash.Size() {
			return "", fmt.Errorf("a salt of %d bytes, expected %d: %w", salt, hash.Size(), errors.ErrUnsupported)
		}
		return "kSecKeyAlgorithmRSASignatureDigestPSS" + end, nil
	}
	return "", fmt.Errorf("a key of type %T: %w", public, errors.ErrUnsupported)
}

// Prove says why a key is not that of a certificate, or may not be used by us, nil if
// it signs what the certificate verifies. Otherwise the first client would find out.
func Prove(key crypto.Signer, certificate *x509.Certificate) error {
	digest := sha256.Sum256([]byte("whether this key may be used\x00" + rand.Text()))
	signature, err := key.Sign(rand.Reader, digest[:], crypto.SHA256)
	if err != nil {
		return err
	}
	right := false
	switch public := certificate.PublicKey.(type) {
	case *ecdsa.PublicKey:
		right = ecdsa.VerifyASN1(public, digest[:], signature)
	case *rsa.PublicKey:
		right = rsa.VerifyPKCS1v15(public, crypto.SHA256, digest[:], signature) == nil
	}
	if !right {
		return errors.New("the key is not the certificate's")
	}
	return nil
}
