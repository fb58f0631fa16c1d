package macho

import (
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"slices"
)

// Fat files (mach-o/fat.h). All fields are big-endian.
const (
	fatHeaderSize = 8
	fatArchSize   = 20 // cputype, cpusubtype, offset, size, align: 32 bits each
	fatArch64Size = 32 // offset and size are 64 bits, and a reserved field follows
	maxSlices     = 16 // there are fewer architectures than that
	maxAlign      = 24 // log2; the largest page is 2^14
)

// slice is where in the file the image for one architecture lies.
type slice struct {
	offset, size int64
	cpu          cpu  // what the fat header says
	fat          bool // cpu is set
}

// cpu is an architecture (mach/machine.h).
type cpu struct{ kind, subkind uint32 }

// capabilities are bits of the subtype that do not select a slice:
// CPU_SUBTYPE_LIB64 and the version of arm64e pointer authentication.
const capabilities = 0xff000000

func (c cpu) String() string {
	switch [2]uint32{c.kind, c.subkind &^ capabilities} {
	case [2]uint32{0x0100000c, 2}:
		return "arm64e"
	case [2]uint32{0x01000007, 8}:
		return "x86_64h"
	}
	names := map[uint32]string{0x0100000c: "arm64", 0x0200000c: "arm64_32", 0x01000007: "x86_64", 7: "i386", 12: "arm", 18: "ppc", 0x01000012: "ppc64"}
	if name, ok := names[c.kind]; ok {
		return name
	}
	return fmt.Sprintf("cpu 0x%x", c.kind)
}

// slices reads the fat header. Which slice runs is the kernel's choice, by
// architecture, so two for the same one, or two that share bytes, would let a
// file be read in two ways.
func (f *file) slices(wide bool) ([]slice, error) {
	var head [fatHeaderSize]byte
	if err := readFull(f.r, head[:], 0); err != nil {
		return nil, err
	}
	count := binary.BigEndian.Uint32(head[4:])
	if count == 0 || count > maxSlices {
		return nil, malformed("the fat header lists %d architectures", count)
	}
	entry := fatEntrySize(wide)
	table := make([]byte, int64(count)*entry)
	if fatHeaderSize+int64(len(table)) > f.size {
		return nil, malformed("the fat header reaches past the end of the file")
	}
	if err := readFull(f.r, table, fatHeaderSize); err != nil {
		return nil, err
	}
	found := make([]slice, count)
	for i := range found {
		s, err := f.readArch(table[int64(i)*entry:][:entry], wide)
		if err != nil {
			return nil, err
		}
		for _, other := range found[:i] {
			if other.cpu.kind == s.cpu.kind && (other.cpu.subkind^s.cpu.subkind)&^capabilities == 0 {
				return nil, malformed("the fat header lists two slices for %s", s.cpu)
			}
		}
		found[i] = s
	}
	end := fatHeaderSize + int64(len(table))
	for _, s := range byOffset(found) {
		if s.offset < end {
			return nil, malformed("slices of the fat file overlap")
		}
		end = s.offset + s.size
	}
	return found, nil
}

func fatEntrySize(wide bool) int64 {
	if wide {
		return fatArch64Size
	}
	return fatArchSize
}

func (f *file) readArch(entry []byte, wide bool) (slice, error) {
	be := binary.BigEndian
	s := slice{cpu: cpu{be.Uint32(entry), be.Uint32(entry[4:])}, fat: true}
	var offset, size uint64
	var align, reserved uint32
	if wide {
		offset, size, align, reserved = be.Uint64(entry[8:]), be.Uint64(entry[16:]), be.Uint32(entry[24:]), be.Uint32(entry[28:])
	} else {
		offset, size, align = uint64(be.Uint32(entry[8:])), uint64(be.Uint32(entry[12:])), be.Uint32(entry[16:])
	}
	if size == 0 || size > uint64(f.size) || offset > uint64(f.size)-size {
		return slice{}, malformed("the %s slice lies outside the file", s.cpu)
	}
	if align > maxAlign || offset&(1<<align-1) != 0 || reserved != 0 {
		return slice{}, malformed("the %s slice does not lie where its alignment says", s.cpu)
	}
	s.offset, s.size = int64(offset), int64(size)
	return s, nil
}

func byOffset(all []slice) []slice {
	return slices.SortedFunc(slices.Values(all), func(a, b slice) int { return cmp.Compare(a.offset, b.offset) })
}

// checkGaps makes sure that nothing but zeros lies outside the slices: no
// signature covers it, and data can hide there (a slice that the header does
// not count, appended scripts).
func (f *file) checkGaps(ctx context.Context, all []slice, wide bool) error {
	end := fatHeaderSize + int64(len(all))*fatEntrySize(wide)
	for _, s := range byOffset(all) {
		if err := f.checkZeros(ctx, end, s.offset); err != nil {
			return err
		}
		end = s.offset + s.size
	}
	if end != f.size {
		return malformed("data was appended to the file")
	}
	return nil
}

func (f *file) checkZeros(ctx context.Context, from, to int64) error {
	buffer := make([]byte, min(to-from, readSize))
	for from < to {
		if err := ctx.Err(); err != nil {
			return err
		}
		p := buffer[:min(to-from, int64(len(buffer)))]
		if err := readFull(f.r, p, from); err != nil {
			return err
		}
		if !zero(p) {
			return malformed("data is hidden between the slices of the fat file")
		}
		from += int64(len(p))
	}
	return nil
}

func zero(p []byte) bool {
	for _, b := range p {
		if b != 0 {
			return false
		}
	}
	return true
}
