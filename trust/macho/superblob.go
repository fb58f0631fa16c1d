package macho

import (
	"cmp"
	"encoding/binary"
	"slices"
)

// Blobs (cs_blobs.h): magic and length, both 32 bits big-endian, then the
// content. A SuperBlob's content is a count and an index of slots and offsets.
const (
	magicRequirement   = 0xfade0c00
	magicRequirements  = 0xfade0c01
	magicDirectory     = 0xfade0c02
	magicSignature     = 0xfade0cc0
	magicEntitlements  = 0xfade7171
	magicEntitlementsD = 0xfade7172 // DER
	magicConstraint    = 0xfade8181
	magicWrapper       = 0xfade0b01

	blobHeaderSize  = 8
	superHeaderSize = 12
	indexEntrySize  = 8
	maxBlobs        = 64 // there are fewer slots than that
)

// blob is one entry of a SuperBlob.
type blob struct {
	slot uint32
	data []byte // header and all: what is hashed
}

func (b blob) magic() uint32   { return binary.BigEndian.Uint32(b.data) }
func (b blob) content() []byte { return b.data[blobHeaderSize:] }

// parseSuperBlob reads a SuperBlob of the given magic at the start of data and
// returns its blobs in the order of the index. Every byte of it must be the
// header's, the index's, one blob's, or a zero in between: readers that disagree
// about which blob fills a slot, or data that no hash covers, have no room. What
// lies behind it is rest.
func parseSuperBlob(data []byte, magic uint32) (parts []blob, rest []byte, err error) {
	be := binary.BigEndian
	if len(data) < superHeaderSize || be.Uint32(data) != magic {
		return nil, nil, malformed("the signature does not begin as one")
	}
	length, count := be.Uint32(data[4:]), be.Uint32(data[8:])
	if uint64(length) > uint64(len(data)) {
		return nil, nil, malformed("the signature is longer than the space for it")
	}
	if count > maxBlobs || superHeaderSize+count*indexEntrySize > length {
		return nil, nil, malformed("the signature's index lists %d parts", count)
	}
	data, rest = data[:length], data[length:]
	blobs := make([]blob, count)
	type span struct{ from, to uint64 }
	spans := make([]span, count)
	for i := range blobs {
		entry := data[superHeaderSize+i*indexEntrySize:]
		slot, offset := be.Uint32(entry), uint64(be.Uint32(entry[4:]))
		for _, other := range blobs[:i] {
			if other.slot == slot {
				return nil, nil, malformed("the signature has two parts for slot 0x%x", slot)
			}
		}
		if offset+blobHeaderSize > uint64(length) {
			return nil, nil, malformed("a part of the signature lies outside it")
		}
		size := uint64(be.Uint32(data[offset+4:]))
		if size < blobHeaderSize || offset+size > uint64(length) {
			return nil, nil, malformed("a part of the signature reaches past its end")
		}
		blobs[i] = blob{slot, data[offset : offset+size]}
		spans[i] = span{offset, offset + size}
	}
	slices.SortFunc(spans, func(a, b span) int { return cmp.Compare(a.from, b.from) })
	end := uint64(superHeaderSize + count*indexEntrySize)
	for _, s := range spans {
		if s.from < end {
			return nil, nil, malformed("parts of the signature overlap")
		}
		if !zero(data[end:s.from]) {
			return nil, nil, malformed("data is hidden between the parts of the signature")
		}
		end = s.to
	}
	if end != uint64(length) {
		return nil, nil, malformed("the signature goes on after its parts")
	}
	return blobs, rest, nil
}
