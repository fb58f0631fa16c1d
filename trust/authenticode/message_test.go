package authenticode

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/asn1"
	"slices"
	"testing"

	"kpm/trust/trusttest"
)

// node is an element of DER that can be taken apart, changed and put together
// again.
type node struct {
	class, tag int
	compound   bool
	value      []byte // if not compound
	kids       []*node
}

func parse(t testing.TB, der []byte) *node {
	t.Helper()
	all := parseAll(t, der)
	if len(all) != 1 {
		t.Fatalf("%d elements in %x", len(all), der)
	}
	return all[0]
}

func parseAll(t testing.TB, der []byte) []*node {
	t.Helper()
	var all []*node
	for len(der) > 0 {
		var raw asn1.RawValue
		rest, err := asn1.Unmarshal(der, &raw)
		if err != nil {
			t.Fatal(err)
		}
		n := &node{class: raw.Class, tag: raw.Tag, compound: raw.IsCompound}
		if raw.IsCompound {
			n.kids = parseAll(t, raw.Bytes)
		} else {
			n.value = bytes.Clone(raw.Bytes)
		}
		all, der = append(all, n), rest
	}
	return all
}

func (n *node) der(t testing.TB) []byte {
	t.Helper()
	value := n.value
	if n.compound {
		value = nil
		for _, k := range n.kids {
			value = append(value, k.der(t)...)
		}
	}
	der, err := asn1.Marshal(asn1.RawValue{Class: n.class, Tag: n.tag, IsCompound: n.compound, Bytes: value})
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// at follows indices down.
func (n *node) at(path ...int) *node {
	for _, i := range path {
		if i < 0 {
			i += len(n.kids)
		}
		n = n.kids[i]
	}
	return n
}

// Elements.
func cons(tag int, kids ...*node) *node { return &node{tag: tag, compound: true, kids: kids} }
func seq(kids ...*node) *node           { return cons(asn1.TagSequence, kids...) }
func set(kids ...*node) *node           { return cons(asn1.TagSet, kids...) }
func prim(tag int, value []byte) *node  { return &node{tag: tag, value: value} }
func octet(value []byte) *node          { return prim(asn1.TagOctetString, value) }
func number(n byte) *node               { return prim(asn1.TagInteger, []byte{n}) }
func null() *node                       { return prim(asn1.TagNull, nil) }
func tagged(tag int, kids ...*node) *node {
	return &node{class: asn1.ClassContextSpecific, tag: tag, compound: true, kids: kids}
}
func taggedPrim(tag int, value []byte) *node {
	return &node{class: asn1.ClassContextSpecific, tag: tag, value: value}
}

func object(id ...int) *node {
	der, err := asn1.Marshal(asn1.ObjectIdentifier(id))
	if err != nil {
		panic(err)
	}
	return prim(asn1.TagOID, der[2:])
}

var (
	idSHA256      = []int{2, 16, 840, 1, 101, 3, 4, 2, 1}
	idSHA1        = []int{1, 3, 14, 3, 2, 26}
	idSHA3        = []int{2, 16, 840, 1, 101, 3, 4, 2, 8}
	idMD5         = []int{1, 2, 840, 113549, 2, 5}
	idRSA         = []int{1, 2, 840, 113549, 1, 1, 1}
	idSignedData  = []int{1, 2, 840, 113549, 1, 7, 2}
	idData        = []int{1, 2, 840, 113549, 1, 7, 1}
	idContentType = []int{1, 2, 840, 113549, 1, 9, 3}
	idDigest      = []int{1, 2, 840, 113549, 1, 9, 4}
)

// draft is a message that no foreign signer would make: everything in it may
// be wrong, and it is signed all the same.
type draft struct {
	signer   *trusttest.Entity // RSA
	content  *node             // in an SpcIndirectDataContent, unless kind says otherwise
	kind     []int
	signed   []*node // further signed attributes
	unsigned []*node
	unsealed bool // without any signer
}

// attribute is an Attribute.
func attribute(id []int, values ...*node) *node { return seq(object(id...), set(values...)) }

func (d draft) der(t testing.TB) []byte {
	t.Helper()
	if d.kind == nil {
		d.kind = oidIndirectData
	}
	body := d.content.der(t)
	var raw asn1.RawValue
	if _, err := asn1.Unmarshal(body, &raw); err != nil {
		t.Fatal(err)
	}
	digest := sha256.Sum256(raw.Bytes)
	attributes := append([]*node{
		attribute(idContentType, object(d.kind...)), attribute(idDigest, octet(digest[:])),
	}, d.signed...)
	slices.SortFunc(attributes, func(a, b *node) int { return bytes.Compare(a.der(t), b.der(t)) })
	sealed := sha256.Sum256(set(attributes...).der(t))
	certificates := tagged(0)
	signers := set()
	algorithms := set()
	if !d.unsealed {
		signature, err := rsa.SignPKCS1v15(rand.Reader, d.signer.Key.(*rsa.PrivateKey), crypto.SHA256, sealed[:])
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range d.signer.Chain() {
			certificates.kids = append(certificates.kids, parse(t, c.Raw))
		}
		serial, err := asn1.Marshal(d.signer.Certificate.SerialNumber)
		if err != nil {
			t.Fatal(err)
		}
		info := seq(number(1), seq(parse(t, d.signer.Certificate.RawIssuer), parse(t, serial)),
			seq(object(idSHA256...), null()), tagged(0, attributes...),
			seq(object(idRSA...), null()), octet(signature))
		if len(d.unsigned) > 0 {
			info.kids = append(info.kids, tagged(1, d.unsigned...))
		}
		signers.kids = append(signers.kids, info)
		algorithms.kids = append(algorithms.kids, seq(object(idSHA256...), null()))
	}
	data := seq(number(1), algorithms, seq(object(d.kind...), tagged(0, parse(t, body))))
	if !d.unsealed {
		data.kids = append(data.kids, certificates)
	}
	data.kids = append(data.kids, signers)
	return seq(object(idSignedData...), tagged(0, data)).der(t)
}

// imageData is the SpcPeImageData of signtool, with the link that is always there.
func imageData() *node {
	obsolete := []byte{}
	for _, c := range "<<<Obsolete>>>" {
		obsolete = append(obsolete, 0, byte(c))
	}
	return seq(prim(asn1.TagBitString, []byte{0}), tagged(0, tagged(2, taggedPrim(0, obsolete))))
}

// digestData is an SpcIndirectDataContent.
func digestData(dataType []int, data *node, algorithm []int, digest []byte) *node {
	kind := seq(object(dataType...))
	if data != nil {
		kind.kids = append(kind.kids, data)
	}
	return seq(kind, seq(seq(object(algorithm...), null()), octet(digest)))
}

// withTable puts signatures into an image that has none.
func withTable(t testing.TB, image []byte, blobs ...[]byte) []byte {
	t.Helper()
	b := append(bytes.Clone(image), make([]byte, -len(image)&7)...)
	start := len(b)
	for _, blob := range blobs {
		b = append(b, winCertificate(revision2, pkcsSignedData, blob)...)
	}
	return relocate(b, start, len(b)-start)
}

// winCertificate is one entry of a table, aligned.
func winCertificate(revision, kind uint16, blob []byte) []byte {
	b := le32(nil, winCertificateHeader+len(blob)+(-len(blob)&7))
	b = append(b, byte(revision), byte(revision>>8), byte(kind), byte(kind>>8))
	b = append(b, blob...)
	return append(b, make([]byte, -len(blob)&7)...)
}

func le32(b []byte, n int) []byte {
	return append(b, byte(n), byte(n>>8), byte(n>>16), byte(n>>24))
}

// relocate sets the directory entry of the certificate table.
func relocate(b []byte, at, size int) []byte {
	entry := b[directoryEntry(b):]
	copy(entry, le32(le32(nil, at), size))
	return b
}
