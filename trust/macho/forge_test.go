package macho

import (
	"bytes"
	"encoding/asn1"
	"encoding/base64"
	"encoding/binary"
	"slices"
	"strings"
	"testing"

	"kpm/trust/trusttest"
)

// recipe is a signature that no tool makes, but that anyone with a certificate
// can.
type recipe struct {
	by         *trusttest.Entity // Developer ID if nil
	kinds      []uint8           // hash types of the code directories; SHA-256 if nil
	version    uint32
	flags      uint32
	identifier string
	team       string
	platform   uint8
	page       int                    // log2; 12 if 0, one page if negative
	specials   map[int][]byte         // what special slots are hashes of, where it is no blob
	blobs      map[int][]byte         // blobs by slot
	outside    map[uint32]bool        // slots whose blob gets no hash
	missing    map[uint32]bool        // slots that get a hash and no blob
	message    func(cd []byte) []byte // what the message is made over, the first directory if nil
	attributes [][]byte               // instead of the two that name the directories
	bare       bool                   // no attributes at all
	adHoc      bool                   // no message
	directory  func(i int, cd []byte) []byte
	cms        func(der []byte) []byte
	super      func(p []byte) []byte // the SuperBlob, before it is put in place
}

func makeBlob(magic uint32, content []byte) []byte {
	p := binary.BigEndian.AppendUint32(nil, magic)
	return append(binary.BigEndian.AppendUint32(p, uint32(blobHeaderSize+len(content))), content...)
}

type indexed struct {
	slot uint32
	data []byte
}

func makeSuperBlob(magic uint32, parts ...indexed) []byte {
	offset := superHeaderSize + indexEntrySize*len(parts)
	index, body := binary.BigEndian.AppendUint32(nil, uint32(len(parts))), []byte(nil)
	for _, p := range parts {
		index = binary.BigEndian.AppendUint32(index, p.slot)
		index = binary.BigEndian.AppendUint32(index, uint32(offset+len(body)))
		body = append(body, p.data...)
	}
	return makeBlob(magic, append(index, body...))
}

// forge replaces the signature of a signed image. The new one must fit.
func forge(t testing.TB, signed []byte, r recipe) []byte {
	t.Helper()
	at := place(t, signed)
	return putSuperBlob(t, signed, r.make(t, signed[:at.offset]))
}

func (r recipe) make(t testing.TB, code []byte) []byte {
	t.Helper()
	if r.kinds == nil {
		r.kinds = []uint8{2}
	}
	if r.identifier == "" {
		r.identifier = "com.example.tool"
	}
	if r.version == 0 {
		r.version = versionRuntime
	}
	var parts []indexed
	var directories [][]byte
	for i, kind := range r.kinds {
		cd := r.makeDirectory(code, kind)
		if r.directory != nil {
			cd = r.directory(i, cd)
		}
		directories = append(directories, cd)
		slot := uint32(slotDirectory)
		if i > 0 {
			slot = uint32(slotAlternates + i - 1)
		}
		parts = append(parts, indexed{slot, cd})
	}
	for slot := range 0x10002 {
		if b, there := r.blobs[slot]; there && !r.missing[uint32(slot)] {
			parts = append(parts, indexed{uint32(slot), b})
		}
	}
	if !r.adHoc {
		parts = append(parts, indexed{slotCMS, makeBlob(magicWrapper, r.makeMessage(t, directories))})
	}
	super := makeSuperBlob(magicSignature, parts...)
	if r.super != nil {
		super = r.super(super)
	}
	return super
}

func (r recipe) makeDirectory(code []byte, kind uint8) []byte {
	d, _ := digestOf(kind)
	special := 0
	for slot := range r.blobs {
		if slot < slotAlternates && !r.outside[uint32(slot)] {
			special = max(special, slot)
		}
	}
	for slot := range r.specials {
		special = max(special, slot)
	}
	page := r.page
	if page == 0 {
		page = 12
	}
	page = max(page, 0)
	cd := make([]byte, sizeLinkage)
	be := binary.BigEndian
	offset := func(at int) { be.PutUint32(cd[at:], uint32(len(cd))) }
	offset(20)
	cd = append(append(cd, r.identifier...), 0)
	if r.team != "" {
		offset(48)
		cd = append(append(cd, r.team...), 0)
	}
	for slot := special; slot > 0; slot-- {
		hash := make([]byte, d.size)
		if b, there := r.blobs[slot]; there && !r.outside[uint32(slot)] {
			hash = d.sum(b)
		} else if b, there := r.specials[slot]; there {
			hash = d.sum(b)
		}
		cd = append(cd, hash...)
	}
	offset(16)
	pages := 0
	for rest := code; len(rest) > 0; pages++ {
		n := len(rest)
		if page > 0 {
			n = min(n, 1<<page)
		}
		cd = append(cd, d.sum(rest[:n])...)
		rest = rest[n:]
	}
	be.PutUint32(cd, magicDirectory)
	be.PutUint32(cd[4:], uint32(len(cd)))
	be.PutUint32(cd[8:], r.version)
	be.PutUint32(cd[12:], r.flags)
	be.PutUint32(cd[24:], uint32(special))
	be.PutUint32(cd[28:], uint32(pages))
	be.PutUint32(cd[32:], uint32(len(code)))
	cd[36], cd[37], cd[38], cd[39] = byte(d.size), kind, r.platform, byte(page)
	return cd
}

func (r recipe) makeMessage(t testing.TB, directories [][]byte) []byte {
	t.Helper()
	m := trusttest.Message{Signer: r.by, Content: directories[0], Detached: true, Attributes: r.attributes}
	if m.Signer == nil {
		m.Signer = trusttest.New(t).Get(trusttest.DeveloperID)
	}
	if r.message != nil {
		m.Content = r.message(m.Content)
	}
	if m.Attributes == nil && !r.bare {
		m.Attributes = [][]byte{agilityPlist(directories...), agilityDigests(directories...)}
	}
	der := trusttest.Sign(m)
	if r.cms != nil {
		der = r.cms(der)
	}
	return der
}

// digestIn is the digest that a directory uses, SHA-256 if it does not say.
func digestIn(cd []byte) digest {
	d, _ := digestOf(2)
	if len(cd) >= sizeEarliest {
		if its, known := digestOf(cd[37]); known {
			d = its
		}
	}
	return d
}

// agilityPlist and agilityDigests are the attributes that name directories.
func agilityPlist(directories ...[]byte) []byte {
	var b strings.Builder
	b.WriteString(`<?xml version="1.0" encoding="UTF-8"?><plist version="1.0"><dict><key>cdhashes</key><array>`)
	for _, cd := range directories {
		b.WriteString("<data>\n" + base64.StdEncoding.EncodeToString(digestIn(cd).sum(cd)[:cdHashSize]) + "\n</data>")
	}
	b.WriteString("</array></dict></plist>")
	return trusttest.Attribute(oidAgilityPlist, trusttest.Encode([]byte(b.String())))
}

func agilityDigests(directories ...[]byte) []byte {
	var values [][]byte
	for _, cd := range directories {
		d := digestIn(cd)
		h := d.hash.New()
		h.Write(cd)
		values = append(values, trusttest.Encode(struct {
			Algorithm asn1.ObjectIdentifier
			Digest    []byte
		}{algorithm(d.hash), h.Sum(nil)}))
	}
	slices.SortFunc(values, bytes.Compare) // a SET OF, in DER
	return trusttest.Attribute(oidAgility, values...)
}

// editMessage replaces the signer's message of a signed image.
func editMessage(t testing.TB, signed []byte, edit func(f *trusttest.Forgery)) []byte {
	t.Helper()
	return editSuperBlob(t, signed, func(parts []indexed) []indexed {
		for i, p := range parts {
			if p.slot == slotCMS {
				f := trusttest.Take(p.data[blobHeaderSize:])
				edit(f)
				parts[i].data = makeBlob(magicWrapper, f.DER())
			}
		}
		return parts
	})
}

// editSuperBlob puts the parts of a signature together anew.
func editSuperBlob(t testing.TB, signed []byte, edit func(parts []indexed) []indexed) []byte {
	t.Helper()
	at := place(t, signed)
	blobs, _, err := parseSuperBlob(signed[at.offset:], magicSignature)
	if err != nil {
		t.Fatal(err)
	}
	var parts []indexed
	for _, b := range blobs {
		parts = append(parts, indexed{b.slot, slices.Clone(b.data)})
	}
	return putSuperBlob(t, signed, makeSuperBlob(magicSignature, edit(parts)...))
}

func putSuperBlob(t testing.TB, signed, super []byte) []byte {
	t.Helper()
	at := place(t, signed)
	if uint64(len(super)) > at.size {
		t.Fatalf("the signature needs %d bytes of %d", len(super), at.size)
	}
	out := slices.Clone(signed)
	clear(out[at.offset:])
	copy(out[at.offset:], super)
	return out
}

// compact makes a signed image without space after its signature, signed anew.
// The signer's key must be RSA: the length of its signatures does not vary.
func compact(t testing.TB, signed []byte, r recipe) []byte {
	t.Helper()
	at := place(t, signed)
	out := slices.Clone(signed[:int(at.offset)+len(r.make(t, signed[:at.offset]))])
	size := uint32(len(out)) - uint32(at.offset)
	binary.LittleEndian.PutUint32(out[atCodeSign+12:], size)
	from := binary.LittleEndian.Uint64(out[atLinkedit+40:])
	binary.LittleEndian.PutUint64(out[atLinkedit+48:], uint64(len(out))-from)
	return forge(t, out, r)
}
