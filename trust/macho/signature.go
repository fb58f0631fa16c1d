package macho

import (
	"bytes"
)

// Slots of a signature (cs_blobs.h, CSSLOT_*). Slots 1 to 11 have a hash in
// each code directory too, at minus their number.
const (
	slotDirectory     = 0
	slotInfoPlist     = 1
	slotRequirements  = 2
	slotResources     = 3
	slotApplication   = 4
	slotEntitlements  = 5
	slotRepSpecific   = 6
	slotEntitlementsD = 7
	slotConstraints   = 8 // of itself; 9 of its parent, 10 of who is responsible
	slotLibraries     = 11
	slotAlternates    = 0x1000
	slotAlternatesEnd = 0x1005
	slotCMS           = 0x10000
)

// maxSignature bounds what is read into memory. A directory has 32 bytes for
// every 4 KiB of code, so this covers programs of nearly 4 GiB, which is as
// large as one can be.
const maxSignature = 32 << 20

// signature is the content of LC_CODE_SIGNATURE.
type signature struct {
	directories []*directory // what the CMS is over first, then the alternates by slot
	best        *directory   // the one that the kernel goes by
	blobs       map[uint32]blob
	cms         []byte // nil: none
	behind      int    // bytes of the space for the signature that lie behind it, unless all are zero
}

func (f *file) readSignature(s slice, at extent) (*signature, error) {
	if at.size > maxSignature {
		return nil, malformed("the signature is larger than %d MiB", maxSignature>>20)
	}
	data := make([]byte, at.size)
	if err := readFull(f.r, data, s.offset+int64(at.offset)); err != nil {
		return nil, err
	}
	return parseSignature(data, at.offset)
}

// parseSignature reads the parts of a signature that begins at byte limit of
// the image, as far as they can be judged without the image.
func parseSignature(data []byte, limit uint64) (*signature, error) {
	blobs, rest, err := parseSuperBlob(data, magicSignature)
	if err != nil {
		return nil, err
	}
	sig := &signature{blobs: map[uint32]blob{}}
	// codesign signs anew in the space that the linker's signature took. With
	// pages of 16 KiB it needs less of it, and leaves the end of the old one
	// behind. How large the space is stands in the load commands, which are code.
	if !zero(rest) {
		sig.behind = len(rest)
	}
	for _, b := range blobs {
		sig.blobs[b.slot] = b
	}
	if err := sig.readDirectories(limit); err != nil {
		return nil, err
	}
	for _, b := range blobs {
		if err := sig.checkBlob(b); err != nil {
			return nil, err
		}
	}
	for _, d := range sig.directories {
		if err := sig.checkSpecialSlots(d); err != nil {
			return nil, err
		}
	}
	if b, there := sig.blobs[slotCMS]; there && len(b.content()) > 0 {
		sig.cms = b.content()
	}
	return sig, nil
}

// readDirectories reads all code directories. All must say the same of the
// same bytes: which of them a system goes by depends on the hashes it knows.
func (sig *signature) readDirectories(limit uint64) error {
	for slot := uint32(slotDirectory); slot < slotAlternatesEnd; slot++ {
		if slot == slotDirectory+1 {
			slot = slotAlternates
		}
		b, there := sig.blobs[slot]
		if !there {
			continue
		}
		d, err := parseDirectory(b.data)
		if err != nil {
			return err
		}
		if d.limit != limit {
			return malformed("the code directory covers %d bytes of %d", d.limit, limit)
		}
		for _, other := range sig.directories {
			if other.digest == d.digest {
				return malformed("there are two code directories with %s", d.digest.name)
			}
			if other.identifier != d.identifier || other.team != d.team || other.flags != d.flags || other.platform != d.platform {
				return malformed("the code directories disagree about what the program is")
			}
		}
		sig.directories = append(sig.directories, d)
		if sig.best == nil || d.digest.rank > sig.best.digest.rank {
			sig.best = d
		}
	}
	if _, there := sig.blobs[slotDirectory]; !there {
		return malformed("the signature has no code directory")
	}
	return nil
}

// checkBlob makes sure that a blob is what its slot is for and that a hash in
// every directory stands for it; the directories and the CMS stand for
// themselves.
func (sig *signature) checkBlob(b blob) error {
	magic := uint32(0)
	switch {
	case b.slot == slotDirectory || b.slot >= slotAlternates && b.slot < slotAlternatesEnd:
		return nil
	case b.slot == slotCMS:
		if b.magic() != magicWrapper {
			return malformed("what is to be the signer's message is something else")
		}
		return nil
	case b.slot == slotRequirements:
		magic = magicRequirements
	case b.slot == slotEntitlements:
		magic = magicEntitlements
	case b.slot == slotEntitlementsD:
		magic = magicEntitlementsD
	case b.slot >= slotConstraints && b.slot <= slotLibraries:
		magic = magicConstraint
	default:
		return malformed("the signature has a part for slot 0x%x, which nothing covers", b.slot)
	}
	if b.magic() != magic {
		return malformed("the part for slot %d is something else", b.slot)
	}
	for _, d := range sig.directories {
		if d.specialSlot(b.slot) == nil {
			return malformed("the signature has a part for slot %d, which the code directory does not cover", b.slot)
		}
	}
	return nil
}

// checkSpecialSlots compares the special slots that have a blob, and refuses
// those that lack one: a blob was taken away, as if the program had no
// entitlements. What lies outside the file cannot be looked at.
func (sig *signature) checkSpecialSlots(d *directory) error {
	for slot := uint32(1); slot <= d.specialSlots(); slot++ {
		hash := d.specialSlot(slot)
		b, there := sig.blobs[slot]
		switch {
		case hash == nil:
		case there:
			if !bytes.Equal(hash, d.digest.sum(b.data)) {
				return malformed("the part for slot %d was changed after the file was signed", slot)
			}
		case slot == slotInfoPlist || slot == slotResources || slot == slotApplication || slot == slotRepSpecific:
		default:
			return malformed("the part for slot %d was taken out of the signature", slot)
		}
	}
	return nil
}

// content returns a blob without its header, nil if it is not there.
func (sig *signature) content(slot uint32) []byte {
	if b, there := sig.blobs[slot]; there {
		return b.content()
	}
	return nil
}
