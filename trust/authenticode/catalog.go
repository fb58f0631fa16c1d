package authenticode

import (
	"crypto"
	"encoding/asn1"
	"encoding/hex"
	"slices"
	"strings"
	"unicode/utf16"

	"kpm/core"
	"kpm/trust/chain"
	"kpm/trust/cms"
)

// Object identifiers of wincrypt.h and mscat.h.
var (
	oidTrustList     = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 10, 1}
	oidCatalogUsage  = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 12, 1, 1}
	oidCatalogMember = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 12, 1, 2} // named by the digest in hex
	oidCatalogSHA256 = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 12, 1, 3} // named by the digest
)

// Catalog is a list of files' digests that somebody signed. It does not know
// the files' names. Whether its signer is to be believed is found out anew for
// each file that it lists: certificates expire while a service runs.
type Catalog struct {
	members  map[string]member
	hashes   []crypto.Hash // of its members' digests
	evidence core.Evidence // about the catalog, as far as it does not change
	signer   *cms.Signer
	data     *cms.SignedData
	anchors  *chain.Anchors
}

// ReadCatalog reads a signed catalog, and judges its signature. The catalog is
// nil if its signature could not be verified; if the evidence is Untrusted, so
// is what the catalog says about a file.
func ReadCatalog(der []byte, a *chain.Anchors) (*Catalog, core.Evidence) {
	c := &Catalog{members: make(map[string]member), anchors: a, evidence: core.Evidence{
		Kind: core.KindAuthenticode, Rank: core.RankSigned,
	}}
	if check, err := c.read(der); err != nil {
		refuse(&c.evidence, check, err)
		return nil, c.evidence
	}
	return c, c.judge()
}

// read reads and verifies the signature, then the list that is signed. It names
// what was looked at when it failed.
func (c *Catalog) read(der []byte) (check string, err error) {
	data, err := cms.Parse(der)
	if err != nil {
		return "signature", err
	}
	if data.Padding > 0 {
		return "signature", malformed("something was appended to the catalog")
	}
	if !data.ContentType.Equal(oidTrustList) {
		return "signature", malformed("the signature is about something other than a catalog")
	}
	if c.signer, err = data.Verify(nil); err != nil {
		return "signature", err
	}
	if err := c.readList(data.ContentDER); err != nil {
		return "signed content", err
	}
	pass(&c.evidence, "signature", "")
	c.evidence.Digest = c.signer.Hash.String()
	c.data = data
	return "", nil
}

// judge is the evidence of the catalog's own signature as of now.
func (c *Catalog) judge() core.Evidence {
	e := c.evidence
	e.Checks = slices.Clone(e.Checks)
	used := judgeSigner(&e, c.signer, c.data.Certificates, c.anchors)
	leave(&e, uncovered, c.data.Uncovered(used, oidsUnderstood))
	asserted(&e, c.signer)
	return e
}

// readList reads a CertificateTrustList (MS-CAESO, section 4.1.1; wincrypt.h,
// CTL_INFO): SEQUENCE { version INTEGER OPTIONAL, subjectUsage, listIdentifier
// OCTET STRING OPTIONAL, sequenceNumber INTEGER OPTIONAL, thisUpdate,
// nextUpdate OPTIONAL, subjectAlgorithm, trustedSubjects OPTIONAL, extensions
// [0] OPTIONAL }.
func (c *Catalog) readList(der []byte) error {
	outer, err := whole(der)
	if err != nil {
		return err
	}
	parts, err := sequence(outer, 4, 9)
	if err != nil {
		return err
	}
	var sequences []asn1.RawValue
	for _, part := range parts {
		if is(part, asn1.ClassUniversal, asn1.TagSequence) {
			sequences = append(sequences, part)
		}
	}
	if len(sequences) < 2 || len(sequences) > 3 {
		return malformed("the catalog lacks a part")
	}
	// There are signed trust lists that are no catalogs: Windows' own of root
	// certificates names its members by SHA-1, as catalogs of old do.
	usage, err := sequence(sequences[0], 1, 1)
	if err != nil {
		return err
	}
	if oid, err := identifier(usage[0]); err != nil || !oid.Equal(oidCatalogUsage) {
		return malformed("the signed list is not a catalog")
	}
	algorithm, err := sequence(sequences[1], 1, 2)
	if err != nil {
		return err
	}
	kind, err := identifier(algorithm[0])
	if err != nil || !kind.Equal(oidCatalogMember) && !kind.Equal(oidCatalogSHA256) {
		return malformed("the signed list is not a catalog")
	}
	if len(sequences) < 3 {
		return nil // an empty catalog
	}
	for rest := sequences[2].Bytes; len(rest) > 0; {
		var entry asn1.RawValue
		if rest, err = asn1.Unmarshal(rest, &entry); err != nil {
			return malformed("the catalog's encoding is damaged")
		}
		if err := c.readMember(entry); err != nil {
			return err
		}
	}
	return nil
}

// readMember reads a TrustedSubject, SEQUENCE { subjectIdentifier OCTET
// STRING, SET OF Attribute OPTIONAL }. What an SpcIndirectDataContent among
// the attributes says counts; the identifier is a name that often is the
// digest, and counts if there is nothing else.
func (c *Catalog) readMember(entry asn1.RawValue) error {
	const maxAttributes = 64
	parts, err := sequence(entry, 1, 2)
	if err != nil {
		return err
	}
	name, err := octets(parts[0])
	if err != nil {
		return err
	}
	described := false
	if len(parts) == 2 {
		attributes, err := constructed(parts[1], asn1.ClassUniversal, asn1.TagSet, 0, maxAttributes)
		if err != nil {
			return err
		}
		for _, attribute := range attributes {
			content, found, err := describes(attribute)
			if err != nil {
				return err
			}
			if !found {
				continue
			}
			described = true
			if content.hash == 0 {
				continue // of no use, but described
			}
			c.add(content.digest, kindOf(content.dataType))
		}
	}
	if !described {
		if digest, ok := named(name); ok {
			c.add(digest, memberImage|memberFlat)
		}
	}
	return nil
}

// describes reads the SpcIndirectDataContent that an attribute of a member
// may be.
func describes(attribute asn1.RawValue) (content indirect, found bool, err error) {
	parts, err := sequence(attribute, 2, 2)
	if err != nil {
		return content, false, err
	}
	kind, err := identifier(parts[0])
	if err != nil || !kind.Equal(oidIndirectData) {
		return content, false, err
	}
	values, err := constructed(parts[1], asn1.ClassUniversal, asn1.TagSet, 1, 1)
	if err != nil {
		return content, false, err
	}
	content, err = readIndirect(values[0].FullBytes)
	return content, true, err
}

// named is the digest that a member's name stands for: as it is, or in hex as
// a UTF-16 string that ends with NUL.
func named(name []byte) (digest []byte, ok bool) {
	if hashOf(name) != 0 {
		return name, true
	}
	if len(name)%2 != 0 {
		return nil, false
	}
	units := make([]uint16, len(name)/2)
	for i := range units {
		units[i] = uint16(name[2*i]) | uint16(name[2*i+1])<<8
	}
	digest, err := hex.DecodeString(strings.TrimSuffix(string(utf16.Decode(units)), "\x00"))
	return digest, err == nil && hashOf(digest) != 0
}

// hashOf is the algorithm whose digests are as long as digest, 0 for none.
func hashOf(digest []byte) crypto.Hash {
	for _, known := range digestAlgorithms {
		if known.hash.Size() == len(digest) {
			return known.hash
		}
	}
	return 0
}

func (c *Catalog) add(digest []byte, kind member) {
	c.members[string(digest)] |= kind
	if h := hashOf(digest); !slices.Contains(c.hashes, h) {
		c.hashes = append(c.hashes, h)
	}
}
