// Package cms reads and verifies CMS SignedData (RFC 5652), which Authenticode,
// Mach-O, fs-verity and time-stamps are all made of. It says whether the key of
// a certificate signed this content; whether anyone should trust that
// certificate is the business of chain.
package cms

import (
	"crypto"
	"crypto/x509"
	"encoding/asn1"
	"errors"
)

var (
	// ErrMalformed: not the SignedData that it claims to be.
	ErrMalformed = errors.New("malformed signature")
	// ErrForged: well-formed, but not about this content, or not made with
	// the signer's key.
	ErrForged = errors.New("forged signature")
	// ErrUnsupported: intact as far as anyone can tell without the algorithm
	// that it was made with. Whoever meets it treats it as Untrusted.
	ErrUnsupported = errors.New("unsupported signature algorithm")
)

// SignedData is a parsed signature that nobody has verified yet.
type SignedData struct {
	ContentType asn1.ObjectIdentifier
	// Content is what the message digest covers: the value of the content
	// without identifier and length. Nil if the content is detached.
	Content []byte
	// ContentDER is the content element whole, nil if detached.
	ContentDER []byte
	// Certificates are those that came along, in the order of appearance.
	Certificates []*x509.Certificate
}

// Signer is a verified signature.
type Signer struct {
	Certificate *x509.Certificate
	Hash        crypto.Hash // of the message digest
	// Weak: intact, but made with an algorithm that can be forged (MD5, SHA-1,
	// RSA below 2048 bits).
	Weak       bool
	Attributes []Attribute // signed
	Unsigned   []Attribute // anyone can have added them
	Signature  []byte
}

// Attribute is an attribute of a SignerInfo.
type Attribute struct {
	Type   asn1.ObjectIdentifier
	Values []asn1.RawValue
}

// Parse reads a ContentInfo that holds SignedData. Errors wrap ErrMalformed.
func Parse(der []byte) (*SignedData, error) {
	return nil, ErrMalformed
}

// Verify checks the one signature. detached is the content that it must be
// over if Content is nil, else nil. Errors wrap ErrMalformed, ErrForged or
// ErrUnsupported.
func (d *SignedData) Verify(detached []byte) (*Signer, error) {
	return nil, ErrMalformed
}

// Attribute returns the value of a signed attribute that has exactly one.
func (s *Signer) Attribute(oid asn1.ObjectIdentifier) (asn1.RawValue, bool) {
	for _, a := range s.Attributes {
		if a.Type.Equal(oid) && len(a.Values) == 1 {
			return a.Values[0], true
		}
	}
	return asn1.RawValue{}, false
}

// UnsignedValues returns all values of the unsigned attributes of a type.
func (s *Signer) UnsignedValues(oid asn1.ObjectIdentifier) []asn1.RawValue {
	var values []asn1.RawValue
	for _, a := range s.Unsigned {
		if a.Type.Equal(oid) {
			values = append(values, a.Values...)
		}
	}
	return values
}
