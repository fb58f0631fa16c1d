package cms

import (
	"bytes"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"

	"github.com/smallstep/pkcs7"
)

var errReadersDiffer = errors.New("two readers see two different signatures")

// secondReading has the library decode certificates and signer and compares
// every field with ours. It gets a copy without content and revocation lists:
// it drops the error of what it cannot decode, and builds a tree of all it is
// given, which for a large catalog is hundreds of megabytes.
func secondReading(digests element, contentType asn1.ObjectIdentifier, certificates, signers element, s *signerInfo) ([]*x509.Certificate, error) {
	x509Only, err := onlyX509(certificates.body)
	if err != nil {
		return nil, err
	}
	all := maxElements
	if err := errors.Join(walk(certificates.body, 0, &all), walk(signers.body, 0, &all)); err != nil {
		return nil, err
	}
	content, err := asn1.Marshal(contentType)
	if err != nil {
		return nil, err
	}
	oid, err := asn1.Marshal(oidSignedData)
	if err != nil {
		return nil, err
	}
	p7, err := library(encode(tagSequence, oid, encode(tagContext0, encode(tagSequence,
		[]byte{tagInteger, 1, 1}, digests.full, encode(tagSequence, content), encode(tagContext0, x509Only), signers.full))))
	if err != nil {
		return nil, err
	}
	rest := x509Only
	for _, c := range p7.Certificates {
		if !bytes.HasPrefix(rest, c.Raw) {
			return nil, errReadersDiffer
		}
		rest = rest[len(c.Raw):]
	}
	if len(rest) != 0 {
		return nil, errReadersDiffer
	}
	if err := bounded(p7.Certificates); err != nil {
		return nil, err
	}
	if s.keyID != nil { // the library knows issuer and serial number only
		return p7.Certificates, nil
	}
	if len(p7.Signers) != 1 {
		return nil, errReadersDiffer
	}
	its := p7.Signers[0]
	same := bytes.Equal(its.IssuerAndSerialNumber.IssuerName.FullBytes, s.issuer) &&
		its.IssuerAndSerialNumber.SerialNumber.Cmp(s.serial) == 0 &&
		its.DigestAlgorithm.Algorithm.Equal(s.digest.oid) &&
		its.DigestEncryptionAlgorithm.Algorithm.Equal(s.signature.oid) &&
		bytes.Equal(its.DigestEncryptionAlgorithm.Parameters.FullBytes, s.signature.parameters) &&
		bytes.Equal(its.EncryptedDigest, s.value) &&
		len(its.AuthenticatedAttributes) == len(s.signed) && len(its.UnauthenticatedAttributes) == len(s.unsigned)
	for i := 0; same && i < len(s.signed); i++ {
		same = its.AuthenticatedAttributes[i].Type.Equal(s.signed[i].Type) &&
			bytes.HasSuffix(s.signedRaw[i], its.AuthenticatedAttributes[i].Value.FullBytes)
	}
	if !same {
		return nil, errReadersDiffer
	}
	return p7.Certificates, nil
}

// onlyX509 bounds the set before anyone decodes it, and leaves out what is no
// X.509 certificate: attribute certificates and others (RFC 5652, section
// 10.2.2). Microsoft's time-stamps carry one; it says nothing about keys, and
// one reader would drop it where the other does not.
func onlyX509(set []byte) ([]byte, error) {
	in := cursor{rest: set}
	var kept []byte
	for n := 0; in.err == nil && len(in.rest) > 0; n++ {
		if n == maxCertificates {
			return nil, fmt.Errorf("more than %d certificates", maxCertificates)
		}
		e, rest, err := next(in.rest)
		if err != nil {
			return nil, err
		}
		if len(e.full) > maxCertificate {
			return nil, fmt.Errorf("a certificate of more than %d bytes", maxCertificate)
		}
		if e.id >= tagContext0 && e.id <= tagContext0+3 {
			in.rest = rest
			continue
		}
		kept = append(kept, in.take(tagSequence).full...)
	}
	return kept, in.err
}

// library is the only code of others that hostile bytes reach; a panic in it is
// a malformed signature, not the end of the service.
func library(der []byte) (p7 *pkcs7.PKCS7, err error) {
	defer func() {
		if r := recover(); r != nil {
			p7, err = nil, fmt.Errorf("the decoder gave up: %v", r)
		}
	}()
	return pkcs7.Parse(der)
}
