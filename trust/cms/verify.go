package cms

import (
	"bytes"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
)

// Verify checks the one signature (RFC 5652, section 5.6). detached is the
// content that it must be over if Content is nil, else nil. Signed attributes
// are mandatory: without them, and with the encoded attributes of another
// signature by the same signer as content, that signature would verify. Errors
// wrap ErrMalformed, ErrForged or ErrUnsupported.
func (d *SignedData) Verify(detached []byte) (*Signer, error) {
	content, err := d.content(detached)
	if err != nil {
		return nil, err
	}
	named, ok := single(d.signer.signed, oidContentType)
	if !ok {
		return nil, fmt.Errorf("%w: no content type attribute", ErrMalformed)
	}
	// The same octets may mean one thing as one type and another as another.
	if !isOID(named, d.ContentType) {
		return nil, fmt.Errorf("%w: the content is not of the type that was signed", ErrForged)
	}
	if err := d.listed(); err != nil {
		return nil, err
	}
	return d.signer.verify(d.Certificates, content)
}

// Countersignature checks a countersignature over s (RFC 5652, section 11.4):
// der is a SignerInfo, certificates those that may hold the countersigner's. It
// is over the signature value and has no content of its own. Errors are those
// of Verify.
func (s *Signer) Countersignature(der []byte, certificates []*x509.Certificate) (*Signer, error) {
	in := cursor{rest: der}
	e := in.take(tagSequence)
	err := in.end()
	if err == nil {
		all := maxElements
		err = walk(e.body, 0, &all)
	}
	var by signerInfo
	if err == nil {
		by, err = readSignerInfo(e.body)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: countersignature: %w", ErrMalformed, err)
	}
	// RFC 5652 wants no content type; PKCS #9 countersigners write data. Any
	// other would be a signature made for something else.
	for _, a := range by.signed {
		if a.Type.Equal(oidContentType) && (len(a.Values) != 1 || !isOID(a.Values[0], oidData)) {
			return nil, fmt.Errorf("%w: countersignature of another content type", ErrForged)
		}
	}
	by.counter = true
	return by.verify(certificates, s.Signature)
}

// content is what the digest has to be of.
func (d *SignedData) content(detached []byte) ([]byte, error) {
	switch {
	case d.Content != nil && detached != nil:
		return nil, fmt.Errorf("%w: it brings content of its own", ErrMalformed)
	case d.Content != nil:
		return d.Content, nil
	case detached != nil:
		return detached, nil
	default:
		return nil, fmt.Errorf("%w: no content", ErrMalformed)
	}
}

// listed refuses a signer whose digest algorithm SignedData does not announce
// (RFC 5652, section 5.1).
func (d *SignedData) listed() error {
	for _, a := range d.digests {
		if a.oid.Equal(d.signer.digest.oid) {
			return nil
		}
	}
	return fmt.Errorf("%w: the digest algorithm is not announced", ErrMalformed)
}

// verify checks attributes, digest and signature over content.
func (s *signerInfo) verify(certificates []*x509.Certificate, content []byte) (*Signer, error) {
	if !s.hasSigned {
		return nil, fmt.Errorf("%w: no signed attributes", ErrMalformed)
	}
	if err := unique(s.signed); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	hash, err := s.hash()
	if err != nil {
		return nil, err
	}
	claimed, ok := single(s.signed, oidMessageDigest)
	if !ok || claimed.FullBytes[0] != tagOctetString || len(claimed.Bytes) != hash.Size() {
		return nil, fmt.Errorf("%w: no message digest attribute of %d bytes", ErrMalformed, hash.Size())
	}
	if err := singleTime(s.signed); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	c, err := s.certificate(certificates)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	h := hash.New()
	h.Write(content)
	if !bytes.Equal(claimed.Bytes, h.Sum(nil)) {
		return nil, fmt.Errorf("%w: the digest is of other content", ErrForged)
	}
	weakKey, err := s.check(c, hash, s.signedOctets())
	if err != nil {
		return nil, err
	}
	return &Signer{
		Certificate: c, Hash: hash, Weak: weakKey || Forgeable(hash), WeakKey: weakKey, Attributes: s.signed, Unsigned: s.unsigned, Signature: s.value,
	}, nil
}

// singleTime refuses two values of signing time (RFC 5652, section 11.3).
func singleTime(attributes []Attribute) error {
	for _, a := range attributes {
		if a.Type.Equal(oidSigningTime) && len(a.Values) != 1 {
			return errors.New("two signing times")
		}
	}
	return nil
}

func isOID(v asn1.RawValue, want asn1.ObjectIdentifier) bool {
	var oid asn1.ObjectIdentifier
	rest, err := asn1.Unmarshal(v.FullBytes, &oid)
	return err == nil && len(rest) == 0 && oid.Equal(want)
}
