package trusttest

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	_ "crypto/sha1"
	_ "crypto/sha256"
	_ "crypto/sha512"
	"crypto/x509"
	"encoding/asn1"
	"fmt"
	"slices"
)

// Object identifiers that tests name.
var (
	OIDData           = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 1}
	OIDSignedData     = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 2}
	OIDContentType    = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 3}
	OIDMessageDigest  = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 4}
	OIDSigningTime    = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 5}
	OIDCountersign    = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 6}
	OIDTSTInfo        = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 1, 4}
	OIDToken          = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 2, 14}
	OIDMicrosoftToken = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 3, 3, 1}

	oidRSA = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 1}
)

// algorithms are the hashes that Sign knows, alone and with ECDSA.
var algorithms = map[crypto.Hash][2]asn1.ObjectIdentifier{
	crypto.SHA1:   {{1, 3, 14, 3, 2, 26}, {1, 2, 840, 10045, 4, 1}},
	crypto.SHA256: {{2, 16, 840, 1, 101, 3, 4, 2, 1}, {1, 2, 840, 10045, 4, 3, 2}},
	crypto.SHA384: {{2, 16, 840, 1, 101, 3, 4, 2, 2}, {1, 2, 840, 10045, 4, 3, 3}},
	crypto.SHA512: {{2, 16, 840, 1, 101, 3, 4, 2, 3}, {1, 2, 840, 10045, 4, 3, 4}},
}

// HashID is the AlgorithmIdentifier of a hash, encoded.
func HashID(h crypto.Hash) []byte {
	return of(0x30, Encode(algorithms[h][0]), asn1.NullBytes)
}

// Message is a CMS SignedData to be made. It is for what foreign signers do not
// make: forgeries, and signatures at times of the test's choosing.
type Message struct {
	Signer       *Entity
	Type         asn1.ObjectIdentifier // data if nil
	Content      []byte                // what is digested
	Element      []byte                // the content encoded; an octet string of Content if nil
	Detached     bool
	Hash         crypto.Hash // SHA-256 if 0
	Attributes   [][]byte    // signed ones beside content type and message digest, from Attribute
	KeyID        bool        // name the signer by key identifier
	Certificates []*x509.Certificate
}

// Sign makes the message in DER. Certificates are the signer's chain if nil.
func Sign(m Message) []byte {
	if m.Type == nil {
		m.Type = OIDData
	}
	if m.Hash == 0 {
		m.Hash = crypto.SHA256
	}
	if m.Element == nil {
		m.Element = Encode(m.Content)
	}
	if m.Certificates == nil {
		m.Certificates = m.Signer.Chain()
	}
	content := of(0x30, Encode(m.Type), of(0xa0, m.Element))
	if m.Detached {
		content = of(0x30, Encode(m.Type))
	}
	var certificates []byte
	for _, c := range m.Certificates {
		certificates = append(certificates, c.Raw...)
	}
	attributes := append([][]byte{Attribute(OIDContentType, Encode(m.Type))}, m.Attributes...)
	signer := signerInfo(m.Signer, m.Hash, m.Content, attributes, m.KeyID)
	return of(0x30, Encode(OIDSignedData), of(0xa0, of(0x30, Encode(1), of(0x31, HashID(m.Hash)),
		content, of(0xa0, certificates), of(0x31, signer))))
}

// signerInfo makes a SignerInfo over content; the digest attribute is added.
func signerInfo(e *Entity, hash crypto.Hash, content []byte, attributes [][]byte, keyID bool) []byte {
	attributes = append(slices.Clone(attributes), Attribute(OIDMessageDigest, Encode(sum(hash, content))))
	slices.SortFunc(attributes, bytes.Compare)
	version := 1
	sid := of(0x30, e.Certificate.RawIssuer, Encode(e.Certificate.SerialNumber))
	if keyID {
		version, sid = 3, append(header(0x80, len(e.Certificate.SubjectKeyId)), e.Certificate.SubjectKeyId...)
	}
	signed, value := of(0xa0, attributes...), e.sign(hash, of(0x31, attributes...))
	return of(0x30, Encode(version), sid, HashID(hash), signed, e.algorithm(hash), Encode(value))
}

// Attribute encodes an attribute with encoded values.
func Attribute(oid asn1.ObjectIdentifier, values ...[]byte) []byte {
	return of(0x30, Encode(oid), of(0x31, values...))
}

func sum(h crypto.Hash, data []byte) []byte {
	f := h.New()
	f.Write(data)
	return f.Sum(nil)
}

// sign makes a PKCS #1 v1.5 or ECDSA signature over octets.
func (e *Entity) sign(hash crypto.Hash, octets []byte) []byte {
	value, err := e.Key.Sign(rand.Reader, sum(hash, octets), hash)
	if err != nil {
		panic(fmt.Sprintf("trusttest: %s signs: %v", e.Name, err))
	}
	return value
}

func (e *Entity) algorithm(hash crypto.Hash) []byte {
	switch e.Key.(type) {
	case *rsa.PrivateKey:
		return of(0x30, Encode(oidRSA), asn1.NullBytes)
	case *ecdsa.PrivateKey:
		return of(0x30, Encode(algorithms[hash][1]))
	}
	panic("trusttest: unknown key")
}

// Forgery is a CMS SignedData in pieces.
type Forgery struct {
	Root *Node // ContentInfo
}

// Take takes a message apart.
func Take(der []byte) *Forgery { return &Forgery{Tree(der)} }

// DER puts it together again.
func (f *Forgery) DER() []byte { return f.Root.DER() }

// Data is the SignedData.
func (f *Forgery) Data() *Node { return f.Root.At(1, 0) }

// Digests is the set of digest algorithms.
func (f *Forgery) Digests() *Node { return f.Data().At(1) }

// Content is the EncapsulatedContentInfo.
func (f *Forgery) Content() *Node { return f.Data().At(2) }

// Certificates is the certificate set.
func (f *Forgery) Certificates() *Node { return f.Data().At(3) }

// Signers is the set of SignerInfos.
func (f *Forgery) Signers() *Node { return f.Data().At(-1) }

// Signer is the first SignerInfo.
func (f *Forgery) Signer() *Node { return f.Signers().At(0) }

// Signed is its signed attributes.
func (f *Forgery) Signed() *Node { return f.Signer().At(3) }

// Value is its signature value.
func (f *Forgery) Value() *Node { return f.octets() }

func (f *Forgery) octets() *Node {
	for _, n := range f.Signer().Children[1:] {
		if n.ID == asn1.TagOctetString {
			return n
		}
	}
	panic("trusttest: no signature value")
}

// Find returns the index of a signed attribute.
func (f *Forgery) Find(oid asn1.ObjectIdentifier) int {
	want := Encode(oid)
	return slices.IndexFunc(f.Signed().Children, func(n *Node) bool { return bytes.Equal(n.At(0).DER(), want) })
}

// Resign sorts the attributes as they are now and signs them with the key of e,
// which is what the owner of a key can always do.
func (f *Forgery) Resign(e *Entity, hash crypto.Hash) {
	slices.SortFunc(f.Signed().Children, func(a, b *Node) int { return bytes.Compare(a.DER(), b.DER()) })
	var attributes [][]byte
	for _, n := range f.Signed().Children {
		attributes = append(attributes, n.DER())
	}
	f.octets().Body = e.sign(hash, of(0x31, attributes...))
}

// AddUnsigned adds an unsigned attribute to the first signer.
func (f *Forgery) AddUnsigned(oid asn1.ObjectIdentifier, values ...[]byte) {
	s := f.Signer()
	if last := s.At(-1); last.ID != 0xa1 {
		s.Add(&Node{ID: 0xa1})
	}
	s.At(-1).Add(Tree(Attribute(oid, values...)))
}
