package packages

import (
	"bytes"
	"context"
	"crypto"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"kpm/core"
	"kpm/trust/openpgp"
)

// Tags of an rpm header (rpm's rpmtag.h).
const (
	tagImmutable      = 63 // the region that is signed
	tagDSAHeader      = 267
	tagRSAHeader      = 268
	tagOpenPGP        = 278
	tagName           = 1000
	tagVersion        = 1001
	tagRelease        = 1002
	tagFileStates     = 1029
	tagFileDigests    = 1035
	tagFileFlags      = 1037
	tagArch           = 1022
	tagDirIndexes     = 1116
	tagBaseNames      = 1117
	tagDirNames       = 1118
	tagFileDigestAlgo = 5011
)

// Types of a tag's data.
const (
	typeChar        = 1
	typeInt32       = 4
	typeString      = 6
	typeBin         = 7
	typeStringArray = 8
)

// Bounds of a header: rpm's own for entries (HEADER_TAGS_MAX), and less than its
// own for bytes.
const (
	maxEntries = 65535
	maxHeader  = 32 << 20
	entrySize  = 16
)

// headerMagic comes before a header in a package, and is signed with it.
var headerMagic = []byte{0x8e, 0xad, 0xe8, 0x01, 0, 0, 0, 0}

// Header is the header of an installed rpm package as rpm keeps it: what the
// package was signed with, and after it what rpm noted when it installed the
// package. Everything about files is read from the signed part.
type Header struct {
	signed []byte
	region map[uint32]entry // within the signed part
	added  map[uint32]entry // by rpm, when it installed the package
}

// entry is the data of one tag.
type entry struct {
	kind, count uint32
	data        []byte // from where it begins to the end of its part
}

// ReadHeader reads a header blob: two counts, an index, and the data that it
// points to (rpm's docs/manual/format_header.md, and hdrblobVerifyRegion in
// lib/header.c for the region).
func ReadHeader(blob []byte) (*Header, error) {
	if len(blob) < 8 || len(blob) > maxHeader {
		return nil, fmt.Errorf("%w: a header of %d bytes", errMalformed, len(blob))
	}
	entries, size := uint64(binary.BigEndian.Uint32(blob)), uint64(binary.BigEndian.Uint32(blob[4:]))
	if entries < 1 || entries > maxEntries || uint64(len(blob)) != 8+entries*entrySize+size {
		return nil, fmt.Errorf("%w: a header of %d bytes says that it has %d entries and %d bytes of data", errMalformed, len(blob), entries, size)
	}
	index, data := blob[8:8+entries*entrySize], blob[8+entries*entrySize:]
	inRegion, regionSize, err := region(index, data)
	if err != nil {
		return nil, err
	}
	h := &Header{region: map[uint32]entry{}, added: map[uint32]entry{}}
	for i := entrySize; i < len(index); i += entrySize {
		into, from, to := h.region, 0, regionSize-entrySize
		if i >= inRegion {
			// Attack: an entry that rpm has not signed takes the place of one
			// that is, or shows its data as something else.
			into, from, to = h.added, regionSize, len(data)
		}
		tag, e, err := readEntry(index[i:i+entrySize], data, from, to)
		if err != nil {
			return nil, err
		}
		if _, twice := into[tag]; twice {
			return nil, fmt.Errorf("%w: tag %d twice in a header", errMalformed, tag)
		}
		into[tag] = e
	}
	h.signed = binary.BigEndian.AppendUint32(slices.Clone(headerMagic), uint32(inRegion/entrySize))
	h.signed = binary.BigEndian.AppendUint32(h.signed, uint32(regionSize))
	h.signed = append(append(h.signed, index[:inRegion]...), data[:regionSize]...)
	return h, nil
}

// region reads the first entry, which says how much of index and data is
// signed, both in bytes. Its data is an entry again, the last of the region's,
// whose offset is the negative size of the region's index.
func region(index, data []byte) (entries, size int, err error) {
	first := index[:entrySize]
	offset := binary.BigEndian.Uint32(first[8:])
	if binary.BigEndian.Uint32(first) != tagImmutable || binary.BigEndian.Uint32(first[4:]) != typeBin ||
		binary.BigEndian.Uint32(first[12:]) != entrySize || uint64(offset)+entrySize > uint64(len(data)) {
		return 0, 0, fmt.Errorf("%w: a header without a region that could be signed", errMalformed)
	}
	trailer := data[offset : offset+entrySize]
	entries = -int(int32(binary.BigEndian.Uint32(trailer[8:])))
	if !bytes.Equal(trailer[:8], first[:8]) || !bytes.Equal(trailer[12:], first[12:]) ||
		entries < entrySize || entries%entrySize != 0 || entries > len(index) {
		return 0, 0, fmt.Errorf("%w: a header whose region has no end", errMalformed)
	}
	return entries, int(offset) + entrySize, nil
}

func readEntry(index, data []byte, from, to int) (tag uint32, e entry, err error) {
	tag = binary.BigEndian.Uint32(index)
	offset := uint64(binary.BigEndian.Uint32(index[8:]))
	e = entry{kind: binary.BigEndian.Uint32(index[4:]), count: binary.BigEndian.Uint32(index[12:])}
	if tag == tagImmutable || offset < uint64(from) || offset >= uint64(to) {
		return 0, e, fmt.Errorf("%w: tag %d at byte %d, expected one from %d to %d", errMalformed, tag, offset, from, to)
	}
	e.data = data[offset:to]
	return tag, e, nil
}

// bytes returns binary data or an array of characters, nil if it is neither.
func (e entry) bytes(kind uint32) []byte {
	if e.kind != kind || uint64(e.count) > uint64(len(e.data)) {
		return nil
	}
	return e.data[:e.count]
}

// numbers returns an array of integers of 32 bits, nil if it is none.
func (e entry) numbers() []uint32 {
	if e.kind != typeInt32 || uint64(e.count)*4 > uint64(len(e.data)) {
		return nil
	}
	list := make([]uint32, e.count)
	for i := range list {
		list[i] = binary.BigEndian.Uint32(e.data[4*i:])
	}
	return list
}

// strings returns an array of strings, or the one string, nil if it is neither.
func (e entry) strings() []string {
	if e.kind != typeStringArray && (e.kind != typeString || e.count != 1) || uint64(e.count) > uint64(len(e.data)) {
		return nil
	}
	list, rest := make([]string, 0, e.count), e.data
	for range e.count {
		end := bytes.IndexByte(rest, 0)
		if end < 0 {
			return nil
		}
		list, rest = append(list, string(rest[:end])), rest[end+1:]
	}
	return list
}

func (e entry) string() string {
	if list := e.strings(); len(list) == 1 {
		return list[0]
	}
	return ""
}

// Package is the package's name, version, release and architecture.
func (h *Header) Package() string {
	return fmt.Sprintf("%s-%s-%s.%s", h.region[tagName].string(), h.region[tagVersion].string(),
		h.region[tagRelease].string(), h.region[tagArch].string())
}

// Verify judges the signatures over the header. ok is false if there are none.
func (h *Header) Verify(ctx context.Context, keys *openpgp.Keyring, now time.Time) (e core.Evidence, ok bool) {
	var signatures []byte
	if e, ok := h.added[tagOpenPGP]; ok { // rpm 6: all of them, in base64
		for _, text := range e.strings() {
			one, err := base64.StdEncoding.DecodeString(text)
			if err != nil {
				one = []byte{0} // no signature, and no reason to look at the others alone
			}
			signatures = append(signatures, one...)
		}
	} else {
		signatures = append(signatures, h.added[tagRSAHeader].bytes(typeBin)...)
		signatures = append(signatures, h.added[tagDSAHeader].bytes(typeBin)...)
	}
	if len(signatures) == 0 {
		return core.Evidence{}, false
	}
	return keys.Verify(ctx, bytes.NewReader(h.signed), signatures, now), true
}

// File is what a package says about one of its files.
type File struct {
	Hash   crypto.Hash
	Digest []byte // nil if the package has none: it is not a regular file, or made later
	Config bool   // people are expected to change it
}

// File flags (rpm's rpmfiles.h).
const (
	flagConfig = 1 << 0
	flagGhost  = 1 << 6
)

// File returns what the package says about path. ok is false if it has no such
// file, or rpm did not install it: another package's took its place, or its
// architecture was not the preferred one. Files of a package that was moved
// elsewhere when it was installed are known by their original path.
func (h *Header) File(path string) (f File, ok bool, err error) {
	slash := strings.LastIndexByte(path, '/')
	dir, base := path[:slash+1], path[slash+1:]
	dirs, dirOf, bases := h.region[tagDirNames].strings(), h.region[tagDirIndexes].numbers(), h.region[tagBaseNames].strings()
	flags, digests := h.region[tagFileFlags].numbers(), h.region[tagFileDigests].strings()
	if len(dirOf) != len(bases) || len(flags) != len(bases) || len(digests) != len(bases) {
		return f, false, fmt.Errorf("%w: lists of files that do not match", errMalformed)
	}
	for i, name := range bases {
		if name != base {
			continue
		}
		if uint64(dirOf[i]) >= uint64(len(dirs)) {
			return f, false, fmt.Errorf("%w: a file in no directory", errMalformed)
		}
		if dirs[dirOf[i]] != dir {
			continue
		}
		if states := h.added[tagFileStates].bytes(typeChar); i < len(states) && states[i] != 0 {
			return f, false, nil
		}
		return h.file(digests[i], flags[i])
	}
	return f, false, nil
}

func (h *Header) file(digest string, flags uint32) (f File, ok bool, err error) {
	algorithm := []uint32{1} // MD5, if nothing is said
	if e, said := h.region[tagFileDigestAlgo]; said {
		algorithm = e.numbers()
	}
	if len(algorithm) != 1 || hashes[algorithm[0]] == 0 {
		return f, false, fmt.Errorf("%w: digests of algorithm %v", errMalformed, algorithm)
	}
	f = File{Hash: hashes[algorithm[0]], Config: flags&flagConfig != 0}
	if digest == "" || flags&flagGhost != 0 {
		return f, true, nil
	}
	if f.Digest, err = hex.DecodeString(digest); err != nil || len(f.Digest) != f.Hash.Size() {
		return f, false, fmt.Errorf("%w: a digest %.140q", errMalformed, digest)
	}
	return f, true, nil
}

// hashes are OpenPGP's numbers of hash algorithms, which rpm uses (RFC 9580,
// section 9.5).
var hashes = map[uint32]crypto.Hash{
	1: crypto.MD5, 2: crypto.SHA1, 8: crypto.SHA256, 9: crypto.SHA384, 10: crypto.SHA512, 11: crypto.SHA224,
}
