// Package image finds the code directory hashes of a Mach-O file: what the kernel
// knows a running program by (csops(2), CS_OPS_CDHASH).
//
// It judges nothing and follows nothing: it reads a few numbers at fixed places of
// the sealed file, and hashes what they point at. Whether a signature is anybody's
// is package trust's to say, in a process without privilege. That root reads these
// numbers of a file that a user chose is the exception to that rule, because a
// reader's answer is only a claim and this one decides which process goes on.
package image

import (
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
)

// HashSize is the length of a code directory hash (CS_CDHASH_LEN, in bytes).
const HashSize = 20

// Hash is a code directory hash: the first 20 bytes of whichever hash the
// directory names.
type Hash [HashSize]byte

// Errors. ErrUnsigned is for a file that carries no signature, or is no Mach-O.
var (
	ErrUnsigned  = errors.New("image: no code directory")
	errMalformed = errors.New("image: malformed")
)

// Numbers of mach-o/loader.h, mach-o/fat.h and kern/cs_blobs.h, and bounds on what
// a file may have.
const (
	magic32, magic64       = 0xfeedface, 0xfeedfacf
	magicFat, magicFat64   = 0xcafebabe, 0xcafebabf
	commandSignature       = 0x1d // LC_CODE_SIGNATURE
	magicSignature         = 0xfade0cc0
	magicDirectory         = 0xfade0c02
	slotAlternates         = 0x1000 // CSSLOT_ALTERNATE_CODEDIRECTORIES, and the four after it
	maxAlternates          = 5
	maxSlices, maxCommands = 16, 4096
	maxIndices             = 64
	maxDirectory           = 64 << 20 // bytes
)

// Hashes returns the hashes of every code directory in the file, of every
// processor's part of a universal one. The kernel takes one of them.
func Hashes(r io.ReaderAt) ([]Hash, error) {
	var head [8]byte
	if _, err := r.ReadAt(head[:], 0); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, ErrUnsigned
		}
		return nil, fmt.Errorf("image: %w", err)
	}
	starts := []int64{0}
	switch magic := binary.BigEndian.Uint32(head[:]); magic {
	case magicFat, magicFat64:
		var err error
		if starts, err = slices(r, magic, binary.BigEndian.Uint32(head[4:])); err != nil {
			return nil, err
		}
	}
	var all []Hash
	for _, start := range starts {
		found, err := slice(r, start)
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	if len(all) == 0 {
		return nil, ErrUnsigned
	}
	return all, nil
}

// slices returns where the parts of a universal file begin. A Java class has the
// same magic number; its second word is a version above 40.
func slices(r io.ReaderAt, magic, count uint32) ([]int64, error) {
	if count == 0 || count > maxSlices {
		return nil, ErrUnsigned
	}
	size := int64(20) // struct fat_arch
	if magic == magicFat64 {
		size = 32 // struct fat_arch_64
	}
	var starts []int64
	for i := range int64(count) {
		var arch [32]byte
		if _, err := r.ReadAt(arch[:size], 8+i*size); err != nil {
			return nil, fmt.Errorf("%w: %w", errMalformed, err)
		}
		start := uint64(binary.BigEndian.Uint32(arch[8:]))
		if magic == magicFat64 {
			start = binary.BigEndian.Uint64(arch[8:])
		}
		if start > 1<<62 {
			return nil, fmt.Errorf("%w: a part at %d", errMalformed, start)
		}
		starts = append(starts, int64(start))
	}
	return starts, nil
}

// slice returns the hashes of the Mach-O that begins at start.
func slice(r io.ReaderAt, start int64) ([]Hash, error) {
	var head [32]byte // struct mach_header_64
	if n, err := r.ReadAt(head[:], start); n < 28 {
		if errors.Is(err, io.EOF) {
			return nil, nil // too short to be one
		}
		return nil, fmt.Errorf("image: %w", err)
	}
	at := start + 32
	switch binary.LittleEndian.Uint32(head[:]) {
	case magic64:
	case magic32:
		at = start + 28
	default:
		return nil, nil
	}
	count := binary.LittleEndian.Uint32(head[16:])
	if count > maxCommands {
		return nil, fmt.Errorf("%w: %d load commands", errMalformed, count)
	}
	for range count {
		var command [16]byte // struct linkedit_data_command
		if n, err := r.ReadAt(command[:], at); n < 8 {
			return nil, fmt.Errorf("%w: %w", errMalformed, err)
		}
		size := binary.LittleEndian.Uint32(command[4:])
		if size < 8 {
			return nil, fmt.Errorf("%w: a load command of %d bytes", errMalformed, size)
		}
		if binary.LittleEndian.Uint32(command[:]) == commandSignature {
			return signature(r, start+int64(binary.LittleEndian.Uint32(command[8:])), binary.LittleEndian.Uint32(command[12:]))
		}
		at += int64(size)
	}
	return nil, nil
}

// signature returns the hashes of the code directories in the signature at start:
// the main one, and its alternates with other hashes.
func signature(r io.ReaderAt, start int64, size uint32) ([]Hash, error) {
	var head [12]byte // struct CS_SuperBlob
	if _, err := r.ReadAt(head[:], start); err != nil {
		return nil, fmt.Errorf("%w: %w", errMalformed, err)
	}
	count := binary.BigEndian.Uint32(head[8:])
	if binary.BigEndian.Uint32(head[:]) != magicSignature || count > maxIndices {
		return nil, fmt.Errorf("%w: a signature of %d parts", errMalformed, count)
	}
	var all []Hash
	for i := range int64(count) {
		var index [8]byte // struct CS_BlobIndex
		if _, err := r.ReadAt(index[:], start+12+8*i); err != nil {
			return nil, fmt.Errorf("%w: %w", errMalformed, err)
		}
		slot, offset := binary.BigEndian.Uint32(index[:]), binary.BigEndian.Uint32(index[4:])
		if slot != 0 && (slot < slotAlternates || slot >= slotAlternates+maxAlternates) {
			continue
		}
		if offset >= size {
			return nil, fmt.Errorf("%w: a code directory outside of the signature", errMalformed)
		}
		found, err := directory(r, start+int64(offset), size-offset)
		if err != nil {
			return nil, err
		}
		all = append(all, found)
	}
	return all, nil
}

// directory hashes one code directory, whose byte 37 says how.
func directory(r io.ReaderAt, start int64, room uint32) (Hash, error) {
	var head [44]byte // struct CS_CodeDirectory, as far as every version has it
	if _, err := r.ReadAt(head[:], start); err != nil {
		return Hash{}, fmt.Errorf("%w: %w", errMalformed, err)
	}
	length := binary.BigEndian.Uint32(head[4:])
	if binary.BigEndian.Uint32(head[:]) != magicDirectory || length < 44 || length > room || length > maxDirectory {
		return Hash{}, fmt.Errorf("%w: a code directory of %d bytes", errMalformed, length)
	}
	var h hash.Hash
	switch head[37] {
	case 1: // CS_HASHTYPE_SHA1
		h = sha1.New()
	case 2, 3: // CS_HASHTYPE_SHA256, and the same cut to 20 bytes
		h = sha256.New()
	case 4: // CS_HASHTYPE_SHA384
		h = sha512.New384()
	default:
		return Hash{}, fmt.Errorf("%w: a code directory with hash %d", errMalformed, head[37])
	}
	if n, err := io.Copy(h, io.NewSectionReader(r, start, int64(length))); err != nil {
		return Hash{}, fmt.Errorf("image: %w", err)
	} else if n != int64(length) {
		return Hash{}, fmt.Errorf("%w: a code directory of %d bytes, of which the file has %d", errMalformed, length, n)
	}
	return Hash(h.Sum(nil)[:HashSize]), nil
}
