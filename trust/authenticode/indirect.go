package authenticode

import (
	"bytes"
	"crypto"
	"encoding/asn1"
)

// Object identifiers of Authenticode_PE and, for page hashes, of signtool.
var (
	oidIndirectData = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 2, 1, 4}
	oidNested       = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 2, 4, 1}
	oidPageHashesV1 = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 2, 3, 1} // SHA-1
	oidPageHashesV2 = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 2, 3, 2} // SHA-256
)

// pageHashesClass is SpcSerializedObject's classId for page hashes.
var pageHashesClass = []byte{0xa6, 0xb5, 0x86, 0xd5, 0xb4, 0xa1, 0x24, 0x66, 0xae, 0x05, 0xa2, 0x17, 0xda, 0x8e, 0x60, 0xd6}

// indirect is an SpcIndirectDataContent: what was signed, by its digest.
type indirect struct {
	dataType asn1.ObjectIdentifier
	data     asn1.RawValue // of dataType; its FullBytes are nil if there is none
	digestInfo
	pageHash crypto.Hash // of pages
	pages    []byte      // SpcPeImagePageHashes; nil: none
}

// digestInfo is a DigestInfo (RFC 8017, appendix A.2.4).
type digestInfo struct {
	algorithm asn1.ObjectIdentifier
	hash      crypto.Hash // 0: an algorithm that is not one of digestAlgorithms
	digest    []byte
}

// digestAlgorithms are those whose digests are computed. MD5 is not: nothing
// that is signed with it is believed either way.
var digestAlgorithms = []struct {
	oid  asn1.ObjectIdentifier
	hash crypto.Hash
}{
	{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 1}, crypto.SHA256},
	{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 2}, crypto.SHA384},
	{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 3}, crypto.SHA512},
	{asn1.ObjectIdentifier{1, 3, 14, 3, 2, 26}, crypto.SHA1},
}

// weak reports whether two files with the same digest can be made.
func weak(h crypto.Hash) bool { return h == crypto.SHA1 }

// name is what core.Evidence calls the digest.
func (d digestInfo) name() string {
	if d.hash == 0 {
		return d.algorithm.String()
	}
	return d.hash.String()
}

// readIndirect reads an SpcIndirectDataContent, SEQUENCE { data
// SpcAttributeTypeAndOptionalValue, messageDigest DigestInfo }. Errors wrap
// errMalformed.
func readIndirect(der []byte) (indirect, error) {
	var c indirect
	outer, err := whole(der)
	if err != nil {
		return c, err
	}
	parts, err := sequence(outer, 2, 2)
	if err != nil {
		return c, err
	}
	data, err := sequence(parts[0], 1, 2)
	if err != nil {
		return c, err
	}
	if c.dataType, err = identifier(data[0]); err != nil {
		return c, err
	}
	if len(data) == 2 {
		c.data = data[1]
	}
	if c.digestInfo, err = readDigestInfo(parts[1]); err != nil {
		return c, err
	}
	if c.dataType.Equal(oidPeImageData) || c.dataType.Equal(oidIndividual) {
		c.pageHash, c.pages, err = readPeImageData(c.data)
	}
	return c, err
}

// readDigestInfo reads SEQUENCE { SEQUENCE { OBJECT IDENTIFIER, NULL OPTIONAL
// }, OCTET STRING }.
func readDigestInfo(e asn1.RawValue) (digestInfo, error) {
	var d digestInfo
	parts, err := sequence(e, 2, 2)
	if err != nil {
		return d, err
	}
	algorithm, err := sequence(parts[0], 1, 2)
	if err != nil {
		return d, err
	}
	if d.algorithm, err = identifier(algorithm[0]); err != nil {
		return d, err
	}
	if len(algorithm) == 2 && !bytes.Equal(algorithm[1].FullBytes, asn1.NullBytes) {
		return d, malformed("the digest algorithm has parameters")
	}
	if d.digest, err = octets(parts[1]); err != nil {
		return d, err
	}
	for _, known := range digestAlgorithms {
		if d.algorithm.Equal(known.oid) {
			d.hash = known.hash
		}
	}
	if d.hash != 0 && len(d.digest) != d.hash.Size() {
		return d, malformed("the digest has the wrong length")
	}
	return d, nil
}

// readPeImageData reads an SpcPeImageData, SEQUENCE { flags BIT STRING
// OPTIONAL, file [0] SpcLink OPTIONAL }, for the page hashes that its link may
// hold. Any other link says "<<<Obsolete>>>".
func readPeImageData(e asn1.RawValue) (crypto.Hash, []byte, error) {
	if e.FullBytes == nil {
		return 0, nil, nil
	}
	parts, err := sequence(e, 0, 2)
	if err != nil {
		return 0, nil, err
	}
	for i, part := range parts {
		switch {
		case i == 0 && is(part, asn1.ClassUniversal, asn1.TagBitString):
		case i == len(parts)-1 && is(part, asn1.ClassContextSpecific, 0):
			link, err := constructed(part, asn1.ClassContextSpecific, 0, 1, 1)
			if err != nil {
				return 0, nil, err
			}
			if is(link[0], asn1.ClassContextSpecific, 1) {
				return readPageHashes(link[0])
			}
		default:
			return 0, nil, malformed("the signature's content has another structure than it must have")
		}
	}
	return 0, nil, nil
}

// readPageHashes reads an SpcSerializedObject, SEQUENCE { classId OCTET
// STRING, serializedData OCTET STRING }, whose data is a SET of one attribute,
// whose value is a SET of one OCTET STRING.
func readPageHashes(moniker asn1.RawValue) (crypto.Hash, []byte, error) {
	object, err := constructed(moniker, asn1.ClassContextSpecific, 1, 2, 2)
	if err != nil {
		return 0, nil, err
	}
	class, err := octets(object[0])
	if err != nil {
		return 0, nil, err
	}
	if !bytes.Equal(class, pageHashesClass) {
		return 0, nil, nil // some other object that adds nothing to the digest
	}
	data, err := octets(object[1])
	if err != nil {
		return 0, nil, err
	}
	outer, err := whole(data)
	if err != nil {
		return 0, nil, err
	}
	attributes, err := constructed(outer, asn1.ClassUniversal, asn1.TagSet, 1, 1)
	if err != nil {
		return 0, nil, err
	}
	attribute, err := sequence(attributes[0], 2, 2)
	if err != nil {
		return 0, nil, err
	}
	kind, err := identifier(attribute[0])
	if err != nil {
		return 0, nil, err
	}
	values, err := constructed(attribute[1], asn1.ClassUniversal, asn1.TagSet, 1, 1)
	if err != nil {
		return 0, nil, err
	}
	pages, err := octets(values[0])
	switch {
	case err != nil:
		return 0, nil, err
	case kind.Equal(oidPageHashesV1):
		return crypto.SHA1, pages, nil
	case kind.Equal(oidPageHashesV2):
		return crypto.SHA256, pages, nil
	}
	return 0, nil, malformed("the page hashes are of an unknown kind")
}

// fits reports whether the content was made for files of the format of s.
func (c indirect) fits(s *subject) error {
	// sbsign before 0.9.5 named the type of a PE image wrongly, and everything else
	// of it rightly. No other kind of file is signed under that name.
	image := s.format == formatPE && c.dataType.Equal(oidIndividual) && c.pages == nil
	if !c.dataType.Equal(s.dataType) && !image {
		return malformed("the signature was made for another kind of file")
	}
	if s.sip == nil {
		return nil
	}
	// SpcSipInfo: SEQUENCE { INTEGER, OCTET STRING, five INTEGERs }.
	parts, err := sequence(c.data, 2, 7)
	if err != nil {
		return err
	}
	sip, err := octets(parts[1])
	if err != nil {
		return err
	}
	if !bytes.Equal(sip, s.sip) {
		return malformed("the signature was made for another kind of file")
	}
	return nil
}
