package ima

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/binary"
	"errors"
	"math/big"
	"reflect"

	"kpm/core"
	"kpm/core/port"
)

// maxBuiltin is the size of the longest signature that the kernel takes, in
// bytes (FS_VERITY_MAX_SIGNATURE_SIZE in fs/verity/fsverity_private.h).
const maxBuiltin = 16128

// builtin judges the signature that was given to the kernel with
// FS_IOC_ENABLE_VERITY.
//
// It is PKCS#7 in the one form that fsverity(1) makes: detached, one signer,
// no signed attributes. The kernel takes more. trust/cms demands signed
// attributes, because without them a signature over attributes passes for one
// over content that looks like attributes; here the content always begins with
// "FSVerity", and attributes begin with 0x31. The signer's certificate must be
// a configured one, and none that comes along is looked at.
func (j *judge) builtin(measured port.Verity) (core.Evidence, error) {
	e := core.Evidence{Kind: core.KindVerity, Rank: core.RankSigned}
	if number(measured.Hash) == 0 {
		return broken(e, "the fs-verity parameters are malformed"), nil
	}
	s, err := parseBuiltin(measured.Signature)
	if err != nil {
		return broken(e, "the built-in fs-verity signature is malformed: "+err.Error()), nil
	}
	e.Digest = s.digest.name
	switch {
	case s.extras:
		return untrusted(e, "the built-in fs-verity signature brings attributes or certificates, a form that is not checked"), nil
	case s.digest.hash == 0:
		return untrusted(e, "the built-in fs-verity signature uses an algorithm that is not checked"), nil
	}
	candidates := j.keys.signers(s)
	if len(candidates) == 0 {
		return untrusted(e, "the certificate of the built-in fs-verity signature is not trusted"), nil
	}
	digest, enforced, err := j.measure(Parameters{Hash: measured.Hash}, measured, true)
	if err != nil {
		return unmeasured(e, err)
	}
	e.Checks = append(e.Checks, enforced)
	if enforced.Outcome == core.Failed {
		return broken(e, "these bytes are not those that the kernel measured with fs-verity"), nil
	}
	h := s.digest.hash.New()
	h.Write(formattedDigest(measured.Hash, digest))
	return j.keys.judge(e, candidates, s.digest, h.Sum(nil), s.value, "the built-in fs-verity signature is forged or about another file"), nil
}

// formattedDigest is struct fsverity_formatted_digest (include/uapi/linux/
// fsverity.h).
func formattedDigest(h crypto.Hash, digest []byte) []byte {
	content := []byte("FSVerity")
	content = binary.LittleEndian.AppendUint16(content, uint16(number(h)))
	content = binary.LittleEndian.AppendUint16(content, uint16(len(digest)))
	return append(content, digest...)
}

// builtinSignature is what counts of a signature.
type builtinSignature struct {
	digest algorithm
	extras bool   // it brings more than the narrow form has
	issuer []byte // DER, with serial; nil if the signer is named by keyID
	serial *big.Int
	keyID  []byte
	method asn1.ObjectIdentifier
	value  []byte
}

// SignedData and SignerInfo of RFC 5652, sections 5.1 and 5.3, as far as they
// matter.
type (
	contentInfo struct {
		Type    asn1.ObjectIdentifier
		Content asn1.RawValue `asn1:"explicit,tag:0"`
	}
	signedData struct {
		Version          int
		DigestAlgorithms []pkix.AlgorithmIdentifier `asn1:"set"`
		Content          struct {
			Type    asn1.ObjectIdentifier
			Content asn1.RawValue `asn1:"explicit,optional,tag:0"`
		}
		Certificates asn1.RawValue `asn1:"optional,tag:0"`
		CRLs         asn1.RawValue `asn1:"optional,tag:1"`
		Signers      []signerInfo  `asn1:"set"`
	}
	signerInfo struct {
		Version    int
		Signer     asn1.RawValue
		Digest     pkix.AlgorithmIdentifier
		Attributes asn1.RawValue `asn1:"optional,tag:0"`
		Method     pkix.AlgorithmIdentifier
		Value      []byte
		Unsigned   asn1.RawValue `asn1:"optional,tag:1"`
	}
)

var (
	oidData       = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 1}
	oidSignedData = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 2}
	oidRSA        = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 1}
	oidEC         = asn1.ObjectIdentifier{1, 2, 840, 10045, 2, 1}
)

// digestMethods pairs what RFC 5754 and RFC 3279 call one digest: alone, with
// RSA and with ECDSA.
var digestMethods = [...]struct {
	number                 byte // in algorithms
	alone, withRSA, withEC asn1.ObjectIdentifier
}{
	{numberSHA1, asn1.ObjectIdentifier{1, 3, 14, 3, 2, 26}, asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 5}, asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 1}},
	{numberSHA256, asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 1}, asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 11}, asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 2}},
	{numberSHA384, asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 2}, asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 12}, asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 3}},
	{numberSHA512, asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 3}, asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 13}, asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 4}},
}

var (
	errNotPKCS7 = errors.New("it is not PKCS#7 signed data")
	errForm     = errors.New("it is not in the form that signers make")
)

// parseBuiltin reads a detached PKCS#7 signature of one signer. What is not
// covered by the signature must be what it has to be: there is one encoding of
// what a signature says.
func parseBuiltin(der []byte) (builtinSignature, error) {
	var s builtinSignature
	if len(der) > maxBuiltin {
		return s, errLength
	}
	var outer contentInfo
	var data signedData
	if unmarshal(der, &outer) != nil || !outer.Type.Equal(oidSignedData) || unmarshal(outer.Content.Bytes, &data) != nil {
		return s, errNotPKCS7
	}
	switch {
	case !data.Content.Type.Equal(oidData):
		return s, errors.New("it is about something else than data")
	case len(data.Content.Content.FullBytes) > 0:
		return s, errors.New("it brings its own content")
	case len(data.Signers) != 1:
		return s, errors.New("it has not exactly one signer")
	}
	info := data.Signers[0]
	if err := s.nameSigner(info.Signer); err != nil {
		return s, err
	}
	version := 1
	if s.issuer == nil {
		version = 3
	}
	if data.Version != version || info.Version != version || len(data.DigestAlgorithms) != 1 ||
		!plain(data.DigestAlgorithms[0]) || !plain(info.Digest) || !plain(info.Method) ||
		!data.DigestAlgorithms[0].Algorithm.Equal(info.Digest.Algorithm) {
		return s, errForm
	}
	s.extras = len(data.Certificates.FullBytes)+len(data.CRLs.FullBytes)+len(info.Attributes.FullBytes)+len(info.Unsigned.FullBytes) > 0
	s.method, s.value = info.Method.Algorithm, info.Value
	for _, m := range digestMethods {
		if m.alone.Equal(info.Digest.Algorithm) {
			s.digest = algorithms[m.number]
		}
	}
	return s, nil
}

// plain reports whether an algorithm has no parameters, absent or NULL.
func plain(a pkix.AlgorithmIdentifier) bool {
	return len(a.Parameters.FullBytes) == 0 || bytes.Equal(a.Parameters.FullBytes, asn1.NullBytes)
}

// nameSigner reads a SignerIdentifier (RFC 5652, section 5.3).
func (s *builtinSignature) nameSigner(id asn1.RawValue) error {
	if id.Class == asn1.ClassContextSpecific && id.Tag == 0 && !id.IsCompound {
		s.keyID = id.Bytes
		return nil
	}
	var name struct {
		Issuer asn1.RawValue
		Serial *big.Int
	}
	if err := unmarshal(id.FullBytes, &name); err != nil {
		return errors.New("it does not name its signer")
	}
	s.issuer, s.serial = name.Issuer.FullBytes, name.Serial
	return nil
}

// signers returns the certificates that the signature names, and whose key can
// have made it.
func (k *Keys) signers(s builtinSignature) []*x509.Certificate {
	var found []*x509.Certificate
	for _, c := range k.all {
		named := bytes.Equal(s.keyID, subjectKeyID(c))
		if s.issuer != nil {
			named = bytes.Equal(s.issuer, c.RawIssuer) && s.serial.Cmp(c.SerialNumber) == 0
		}
		if named && s.fits(c.PublicKey) {
			found = append(found, c)
		}
	}
	return found
}

// fits reports whether the signature's method is the key's. Its digest must be
// the one that the signature names elsewhere.
func (s *builtinSignature) fits(key crypto.PublicKey) bool {
	for _, m := range digestMethods {
		if algorithms[m.number].hash != s.digest.hash {
			continue
		}
		switch key.(type) {
		case *rsa.PublicKey:
			return s.method.Equal(oidRSA) || s.method.Equal(m.withRSA)
		case *ecdsa.PublicKey:
			return s.method.Equal(oidEC) || s.method.Equal(m.withEC)
		}
	}
	return false
}

// unmarshal reads what is the DER encoding of into and nothing else:
// encoding/asn1 lets bytes pass at the end of a sequence.
func unmarshal(der []byte, into any) error {
	if _, err := asn1.Unmarshal(der, into); err != nil {
		return err
	}
	again, err := asn1.Marshal(reflect.ValueOf(into).Elem().Interface())
	if err == nil && !bytes.Equal(der, again) {
		err = errForm
	}
	return err
}
