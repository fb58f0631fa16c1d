package macho

import (
	"bytes"
	"crypto"
	_ "crypto/sha1" // for crypto.Hash.New
	_ "crypto/sha256"
	_ "crypto/sha512"
	"encoding/binary"
	"unicode"
	"unicode/utf8"
)

// CodeDirectory (cs_blobs.h, CS_CodeDirectory). Fields are big-endian; which of
// them are there depends on the version.
const (
	versionEarliest  = 0x20001
	versionScatter   = 0x20100
	versionTeam      = 0x20200
	versionLimit64   = 0x20300
	versionExec      = 0x20400
	versionRuntime   = 0x20500
	versionLinkage   = 0x20600
	versionTooNew    = 0x2f000 // compatibilityLimit: from here on the layout may be another
	sizeEarliest     = 44
	sizeScatter      = 48
	sizeTeam         = 52
	sizeLimit64      = 64
	sizeExec         = 88
	sizeRuntime      = 96
	sizeLinkage      = 108
	maxIdentifier    = 1024
	cdHashSize       = 20 // every cdhash is cut to this (CS_CDHASH_LEN)
	maxSpecialSlots  = 64
	minPage, maxPage = 12, 14 // log2 of 4 KiB and 16 KiB, what kernels take (PAGE_SHIFT)
)

// Flags of a CodeDirectory (cs_blobs.h).
const (
	flagAdHoc             = 0x2
	flagHard              = 0x100
	flagKill              = 0x200
	flagExpires           = 0x400
	flagRestrict          = 0x800
	flagEnforcement       = 0x1000
	flagLibraryValidation = 0x2000
	flagRuntime           = 0x10000
	flagLinkerSigned      = 0x20000
)

// digest is a kind of hash that a directory uses (CS_HASHTYPE_*).
type digest struct {
	hash crypto.Hash
	size int    // bytes of it that are kept
	name string // for core.Evidence
	rank int    // the kernel goes by the directory of the highest (hash_priorities in ubc_subr.c)
}

func digestOf(kind uint8) (digest, bool) {
	switch kind {
	case 1:
		return digest{crypto.SHA1, 20, "SHA-1", 1}, true
	case 2:
		return digest{crypto.SHA256, 32, "SHA-256", 3}, true
	case 3:
		return digest{crypto.SHA256, 20, "SHA-256/160", 2}, true
	case 4:
		return digest{crypto.SHA384, 48, "SHA-384", 4}, true
	}
	return digest{}, false
}

func (d digest) sum(data []byte) []byte {
	h := d.hash.New()
	h.Write(data)
	return h.Sum(nil)[:d.size]
}

// directory is a CodeDirectory: the hashes of a slice's pages and of what goes
// with them.
type directory struct {
	raw              []byte
	version, flags   uint32
	digest           digest
	platform         uint8
	page             uint8 // log2 of the page size, 0: all is one page
	limit            uint64
	identifier, team string
	special, code    []byte // hash arrays; special holds slot -n first and -1 last
	execBase         uint64
	execLimit        uint64
	execFlags        uint64
	runtime          uint32 // version of the SDK, 8 bits for each of the lower three parts
	preEncrypt       bool   // has hashes of the pages before FairPlay encrypted them
	linkage          bool   // has a hash of what it links against
}

// cdHash names the code: what notarisation tickets, trust caches and
// requirements go by.
func (d *directory) cdHash() []byte { return d.digest.sum(d.raw)[:cdHashSize] }

// specialSlot returns the hash of special slot -n, nil if it is empty.
func (d *directory) specialSlot(n uint32) []byte {
	from := len(d.special) - int(n)*d.digest.size
	if n == 0 || from < 0 {
		return nil
	}
	if h := d.special[from : from+d.digest.size]; !zero(h) {
		return h
	}
	return nil
}

func (d *directory) specialSlots() uint32 { return uint32(len(d.special) / d.digest.size) }

// parseDirectory reads a CodeDirectory. Apple's reader lets strings and hashes
// overlap the header ("nonsense but not dangerous", codedirectory.cpp,
// checkIntegrity); here they may not.
func parseDirectory(raw []byte) (*directory, error) {
	be := binary.BigEndian
	if len(raw) < sizeEarliest || be.Uint32(raw) != magicDirectory {
		return nil, malformed("the code directory does not begin as one")
	}
	d := &directory{raw: raw, version: be.Uint32(raw[8:]), flags: be.Uint32(raw[12:]), platform: raw[38], page: raw[39]}
	if d.version < versionEarliest || d.version >= versionTooNew {
		return nil, malformed("the code directory has version 0x%x", d.version)
	}
	var known bool
	if d.digest, known = digestOf(raw[37]); !known || int(raw[36]) != d.digest.size {
		return nil, malformed("the code directory has hashes of type %d and %d bytes", raw[37], raw[36])
	}
	if d.page != 0 && (d.page < minPage || d.page > maxPage) {
		return nil, malformed("the code directory has pages of 2^%d bytes", d.page)
	}
	d.limit = uint64(be.Uint32(raw[32:]))
	header, err := d.readVersioned(be)
	if err != nil {
		return nil, err
	}
	if d.identifier, err = d.text(be.Uint32(raw[20:]), header); err != nil {
		return nil, err
	}
	return d, d.readHashes(be, header)
}

// readVersioned reads the fields that came with later versions and returns
// where the header ends.
func (d *directory) readVersioned(be binary.ByteOrder) (header int, err error) {
	header = sizeEarliest
	for _, step := range []struct {
		version uint32
		size    int
	}{{versionScatter, sizeScatter}, {versionTeam, sizeTeam}, {versionLimit64, sizeLimit64}, {versionExec, sizeExec}, {versionRuntime, sizeRuntime}, {versionLinkage, sizeLinkage}} {
		if d.version >= step.version {
			header = step.size
		}
	}
	raw := d.raw
	if len(raw) < header {
		return 0, malformed("the code directory is cut short")
	}
	if d.version >= versionScatter && be.Uint32(raw[44:]) != 0 {
		// Hashes of other parts of the file than the pages in their order.
		return 0, malformed("the code directory scatters its pages, which no program does")
	}
	if d.version >= versionLimit64 && be.Uint64(raw[56:]) != 0 {
		d.limit = be.Uint64(raw[56:])
	}
	if d.version >= versionExec {
		d.execBase, d.execLimit, d.execFlags = be.Uint64(raw[64:]), be.Uint64(raw[72:]), be.Uint64(raw[80:])
	}
	if d.version >= versionRuntime {
		d.runtime, d.preEncrypt = be.Uint32(raw[88:]), be.Uint32(raw[92:]) != 0
	}
	if d.version >= versionLinkage {
		offset, size := uint64(be.Uint32(raw[100:])), uint64(be.Uint32(raw[104:]))
		if offset+size > uint64(len(raw)) {
			return 0, malformed("the code directory's linkage lies outside it")
		}
		d.linkage = size != 0
	}
	if offset := be.Uint32(raw[48:]); d.version >= versionTeam && offset != 0 {
		if d.team, err = d.text(offset, header); err != nil {
			return 0, err
		}
	}
	return header, nil
}

// text reads a string that ends at a zero byte. It is shown to people and
// compared by policy, so it may hold nothing that shows as something else.
func (d *directory) text(offset uint32, header int) (string, error) {
	if uint64(offset) < uint64(header) || uint64(offset) >= uint64(len(d.raw)) {
		return "", malformed("a name lies outside the code directory")
	}
	window := d.raw[offset:]
	window = window[:min(len(window), maxIdentifier+1)]
	end := bytes.IndexByte(window, 0)
	if end <= 0 {
		return "", malformed("a name in the code directory is empty or has no end")
	}
	s := string(window[:end])
	if !utf8.ValidString(s) {
		return "", malformed("a name in the code directory is not text")
	}
	for _, r := range s {
		if !unicode.IsPrint(r) {
			return "", malformed("a name in the code directory is not text")
		}
	}
	return s, nil
}

// readHashes finds the hash arrays and makes sure that there is a hash for
// every page up to the limit, and no more.
func (d *directory) readHashes(be binary.ByteOrder, header int) error {
	raw, size := d.raw, uint64(d.digest.size)
	at, special, code := uint64(be.Uint32(raw[16:])), uint64(be.Uint32(raw[24:])), uint64(be.Uint32(raw[28:]))
	if special > maxSpecialSlots || at < uint64(header)+special*size || at+code*size > uint64(len(raw)) {
		return malformed("the hashes lie outside the code directory")
	}
	d.special, d.code = raw[at-special*size:at], raw[at:at+code*size]
	pages := uint64(1)
	if d.page != 0 {
		pages = d.limit >> d.page
		if d.limit&(1<<d.page-1) != 0 {
			pages++
		}
	}
	if d.limit == 0 || pages != code {
		return malformed("the code directory has %d hashes for %d pages", code, pages)
	}
	return nil
}
