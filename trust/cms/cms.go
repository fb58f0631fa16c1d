// Package cms reads and verifies CMS SignedData (RFC 5652), which Authenticode,
// Mach-O, fs-verity and time-stamps are all made of. It says whether the key of
// a certificate signed this content; whether anyone should trust that
// certificate is the business of chain.
//
// Two readers look at every signature: this package's own, which accepts one
// encoding of one structure, and github.com/smallstep/pkcs7, which decodes the
// certificates and the signer. Where they do not see the same bytes in the
// same places the signature is refused. Nothing is verified by the library:
// it accepts a signature whose content type is not the signed one, and one
// whose signed attributes were made its content.
package cms

import (
	"crypto"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
)

var (
	// ErrMalformed: not the SignedData that it claims to be.
	ErrMalformed = errors.New("malformed signature")
	// ErrForged: well-formed, but not about this content, or not made with
	// the signer's key.
	ErrForged = errors.New("forged signature")
	// ErrUnsupported: well-formed, but made with an algorithm that is not
	// verified here. Such a signature is not Broken, it is Untrusted.
	ErrUnsupported = errors.New("unsupported signature algorithm")
)

// Bounds of one signature.
const (
	MaxSize         = 8 << 20 // bytes; the largest are catalogs that list thousands of files
	maxCertificates = 64
	maxCertificate  = 64 << 10 // bytes
	maxKeyBits      = 8192     // of RSA: verification grows with the square
	maxAttributes   = 64
	maxPadding      = 8 // zero bytes after the signature: PE aligns its certificate table
)

// SignedData is a parsed signature that nobody has verified yet.
type SignedData struct {
	ContentType asn1.ObjectIdentifier
	// Content is what the message digest covers: the value of the content
	// without identifier and length (RFC 5652, section 5.4). Nil if the
	// content is detached.
	Content []byte
	// ContentDER is the content element whole, nil if detached.
	ContentDER []byte
	// Certificates are those that came along, in the order of appearance.
	Certificates []*x509.Certificate
	// Padding is how many zero bytes follow.
	Padding int

	digests []algorithm
	signer  signerInfo
	lists   int // bytes of revocation lists
	others  int // bytes of certificates that are not X.509's
}

// Parse reads a ContentInfo that holds SignedData with exactly one signer, in
// DER, or in BER up to 1 MiB, up to MaxSize. Up to 8 zero bytes may follow.
// Errors wrap ErrMalformed.
func Parse(der []byte) (*SignedData, error) {
	d, err := parse(der)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return d, nil
}

func parse(in []byte) (*SignedData, error) {
	if len(in) > MaxSize {
		return nil, fmt.Errorf("larger than %d bytes", MaxSize)
	}
	der, padding, err := normalise(in)
	if err != nil {
		return nil, err
	}
	if len(padding) > maxPadding {
		return nil, errors.New("data after its end")
	}
	for _, b := range padding {
		if b != 0 {
			return nil, errors.New("data after its end")
		}
	}
	outer := cursor{rest: der}
	info := cursor{rest: outer.take(tagSequence).body, err: outer.err}
	if oid := info.oid(); info.err == nil && !oid.Equal(oidSignedData) {
		return nil, fmt.Errorf("content type %v is not SignedData", oid)
	}
	wrapped := cursor{rest: info.take(tagContext0).body, err: info.end()}
	data := wrapped.take(tagSequence)
	if err := wrapped.end(); err != nil {
		return nil, err
	}
	d, err := parseSignedData(data.body)
	if err != nil {
		return nil, err
	}
	d.Padding = len(padding)
	return d, nil
}

// parseSignedData reads what RFC 5652, section 5.1, defines.
func parseSignedData(body []byte) (*SignedData, error) {
	var d SignedData
	in := cursor{rest: body}
	in.version()
	digests := in.take(tagSet)
	content := in.take(tagSequence)
	var certificates element
	if in.peek(tagContext0) {
		certificates = in.take(tagContext0)
	}
	if in.peek(tagContext1) {
		d.lists = len(in.take(tagContext1).full) // of the signer's own choice: no evidence
	}
	signers := in.take(tagSet)
	if err := in.end(); err != nil {
		return nil, err
	}
	if err := d.readDigests(digests); err != nil {
		return nil, err
	}
	if err := d.readContent(content); err != nil {
		return nil, err
	}
	one := cursor{rest: signers.body}
	raw := one.take(tagSequence)
	if err := one.end(); err != nil {
		return nil, fmt.Errorf("there is to be exactly one signer: %w", err)
	}
	var err error
	if d.signer, err = readSignerInfo(raw.body); err != nil {
		return nil, err
	}
	if d.Certificates, err = secondReading(digests, d.ContentType, certificates, signers, &d.signer); err != nil {
		return nil, err
	}
	d.others = len(certificates.body)
	for _, c := range d.Certificates {
		d.others -= len(c.Raw)
	}
	return &d, nil
}

func (d *SignedData) readDigests(set element) error {
	in := cursor{rest: set.body}
	for in.err == nil && len(in.rest) > 0 {
		d.digests = append(d.digests, in.algorithm())
		if len(d.digests) > maxAttributes {
			return errors.New("too many digest algorithms")
		}
	}
	return in.err
}

// readContent reads EncapsulatedContentInfo. Its content is an octet string in
// CMS and anything in PKCS #7, on which Authenticode is built.
func (d *SignedData) readContent(content element) error {
	in := cursor{rest: content.body}
	d.ContentType = in.oid()
	if !in.peek(tagContext0) {
		return in.end()
	}
	wrapped := cursor{rest: in.take(tagContext0).body, err: in.end()}
	if wrapped.err == nil && len(wrapped.rest) == 0 {
		return errors.New("empty content")
	}
	if wrapped.err != nil {
		return wrapped.err
	}
	inner := wrapped.take(wrapped.rest[0])
	d.Content, d.ContentDER = inner.body, inner.full
	return wrapped.end()
}

// Signer is a verified signature.
type Signer struct {
	Certificate *x509.Certificate
	Hash        crypto.Hash // of the message digest
	// Weak: intact, but made with an algorithm that can be forged (MD5, SHA-1,
	// RSA below 2048 bits).
	Weak bool
	// WeakKey: it is the key that can be broken, not only the hash.
	WeakKey bool
	// Attributes are signed. Each type occurs once.
	Attributes []Attribute
	// Unsigned attributes can have been added by anyone.
	Unsigned  []Attribute
	Signature []byte
}

// Attribute is an attribute of a signer. It has at least one value.
type Attribute struct {
	Type   asn1.ObjectIdentifier
	Values []asn1.RawValue
}

// Attribute returns the value of a signed attribute that has exactly one.
func (s *Signer) Attribute(oid asn1.ObjectIdentifier) (asn1.RawValue, bool) {
	return single(s.Attributes, oid)
}

func single(attributes []Attribute, oid asn1.ObjectIdentifier) (asn1.RawValue, bool) {
	for _, a := range attributes {
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

// bounded refuses certificates whose mere verification is an attack: an RSA key
// of a megabyte keeps a processor busy for minutes.
func bounded(certificates []*x509.Certificate) error {
	for _, c := range certificates {
		if key, ok := c.PublicKey.(*rsa.PublicKey); ok && key.N.BitLen() > maxKeyBits {
			return fmt.Errorf("RSA key above %d bits", maxKeyBits)
		}
	}
	return nil
}
