package cms

import (
	"bytes"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"slices"
)

// Object identifiers of RFC 5652, sections 5.1 and 11.
var (
	oidData          = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 1}
	oidSignedData    = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 2}
	oidContentType   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 3}
	oidMessageDigest = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 4}
	oidSigningTime   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 5}
)

// signerInfo is the SignerInfo of RFC 5652, section 5.3.
type signerInfo struct {
	issuer    []byte // encoded Name; nil if keyID identifies the signer
	serial    *big.Int
	keyID     []byte
	digest    algorithm
	hasSigned bool
	signed    []Attribute
	signedRaw [][]byte // the encoded attributes of signed, as they came
	signature algorithm
	value     []byte
	unsigned  []Attribute
	counter   bool // it signs another signature
}

// readSignerInfo reads the body of a SignerInfo.
func readSignerInfo(body []byte) (signerInfo, error) {
	var s signerInfo
	in := cursor{rest: body}
	in.version()
	switch {
	case in.peek(tagImplicit0):
		s.keyID = in.take(tagImplicit0).body
		if in.err == nil && len(s.keyID) == 0 {
			return s, errors.New("empty key identifier")
		}
	default:
		id := cursor{rest: in.take(tagSequence).body, err: in.err}
		s.issuer = id.take(tagSequence).full
		number := id.take(tagInteger)
		if err := id.end(); err != nil {
			return s, fmt.Errorf("signer identifier: %w", err)
		}
		if _, err := asn1.Unmarshal(number.full, &s.serial); err != nil {
			return s, fmt.Errorf("signer identifier: %w", err)
		}
	}
	s.digest = in.algorithm()
	var err error
	if in.peek(tagContext0) {
		s.hasSigned = true
		if s.signed, s.signedRaw, err = readAttributes(in.take(tagContext0)); err != nil {
			return s, fmt.Errorf("signed attributes: %w", err)
		}
	}
	s.signature = in.algorithm()
	s.value = in.take(tagOctetString).body
	if in.peek(tagContext1) {
		if s.unsigned, _, err = readAttributes(in.take(tagContext1)); err != nil {
			return s, fmt.Errorf("unsigned attributes: %w", err)
		}
	}
	return s, in.end()
}

// readAttributes reads SET SIZE (1..MAX) OF Attribute.
func readAttributes(set element) ([]Attribute, [][]byte, error) {
	var attributes []Attribute
	var raw [][]byte
	in := cursor{rest: set.body}
	for in.err == nil && len(in.rest) > 0 {
		if len(attributes) == maxAttributes {
			return nil, nil, errors.New("too many")
		}
		e := in.take(tagSequence)
		one := cursor{rest: e.body, err: in.err}
		a := Attribute{Type: one.oid()}
		values := cursor{rest: one.take(tagSet).body, err: one.end()}
		for values.err == nil && len(values.rest) > 0 {
			if len(a.Values) == maxAttributes {
				return nil, nil, errors.New("too many values")
			}
			v := values.take(values.rest[0])
			a.Values = append(a.Values, v.value())
		}
		if values.err == nil && len(a.Values) == 0 {
			return nil, nil, fmt.Errorf("%v has no value", a.Type)
		}
		in.err = values.err
		attributes, raw = append(attributes, a), append(raw, e.full)
	}
	if in.err == nil && len(attributes) == 0 {
		return nil, nil, errors.New("empty")
	}
	return attributes, raw, in.err
}

// value is the element as encoding/asn1 knows it.
func (e element) value() asn1.RawValue {
	return asn1.RawValue{
		Class: int(e.id >> 6), Tag: int(e.id & 0x1f), IsCompound: e.id&constructed != 0, Bytes: e.body, FullBytes: e.full,
	}
}

// unique refuses a type that occurs twice: which of two values is meant would
// be up to the reader (RFC 5652, section 5.3).
func unique(attributes []Attribute) error {
	for i, a := range attributes {
		for _, b := range attributes[:i] {
			if a.Type.Equal(b.Type) {
				return fmt.Errorf("signed attribute %v occurs twice", a.Type)
			}
		}
	}
	return nil
}

// signedOctets is what the signature is over: the attributes as SET OF in DER,
// which sorts them, whatever their order and tag in the message (RFC 5652,
// section 5.4; X.690, section 11.6).
func (s *signerInfo) signedOctets() []byte {
	sorted := slices.Clone(s.signedRaw)
	slices.SortFunc(sorted, bytes.Compare)
	return encode(tagSet, sorted...)
}

// certificate finds the one certificate that the signer identifier names. Of
// two different ones neither is it: which key made the signature must not be
// up to the order of a set that anyone can rearrange.
func (s *signerInfo) certificate(certificates []*x509.Certificate) (*x509.Certificate, error) {
	var found *x509.Certificate
	for _, c := range certificates {
		if !s.names(c) {
			continue
		}
		if found != nil && !found.Equal(c) {
			return nil, errors.New("two certificates fit the signer")
		}
		found = c
	}
	if found == nil {
		return nil, errors.New("the signer's certificate is missing")
	}
	return found, nil
}

func (s *signerInfo) names(c *x509.Certificate) bool {
	if s.keyID != nil {
		return bytes.Equal(s.keyID, c.SubjectKeyId)
	}
	return bytes.Equal(s.issuer, c.RawIssuer) && s.serial.Cmp(c.SerialNumber) == 0
}
