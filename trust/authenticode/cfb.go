package authenticode

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"slices"
)

// The Compound File Binary format ([MS-CFB]): a file system in a file. Streams
// are chains of sectors through the FAT, short streams chains of mini sectors
// through the mini FAT in a stream of their own, and the directory names them.
//
// A signature is about the contents of the streams, so whoever signs and
// whoever installs must see the same ones. This reader takes one layout for
// each: every sector belongs to at most one chain, chains have an end, the
// directory is a tree in the order in which names are searched.
const (
	cfbHeaderSize = 512
	cfbDIFAT      = 0xfffffffc // DIFSECT
	cfbFAT        = 0xfffffffd // FATSECT
	cfbEnd        = 0xfffffffe // ENDOFCHAIN
	cfbFree       = 0xffffffff // FREESECT, and NOSTREAM in the directory

	cfbHeaderFATs = 109 // DIFAT entries in the header
	cfbMiniShift  = 6
	cfbMiniSize   = 1 << cfbMiniShift
	cfbCutoff     = 4096 // streams below it lie in the mini stream
)

// maxSectors bounds a compound file, and with it the memory for its FAT: 2 GiB
// of file in version 3, which is what the format allows there, 16 GiB in
// version 4, for 16 MiB of memory.
const maxSectors = 4 << 20

var cfbMagic = []byte{0xd0, 0xcf, 0x11, 0xe0, 0xa1, 0xb1, 0x1a, 0xe1}

// compound is a compound file.
type compound struct {
	r       io.ReaderAt
	size    int64
	version uint16
	shift   uint   // a sector has 1<<shift bytes
	sectors uint32 // in the file, the header's not counted; the last may be cut off where its data ends

	fat     []uint32 // the next sector of each
	miniFAT []uint32 // the next mini sector of each
	mini    []uint32 // the sectors that the mini stream lies in
	used    claims   // sectors that belong to something
	usedMin claims   // the same of mini sectors
	end     int64    // behind the last sector of a table or the directory

	directory []byte
	seen      claims // directory entries that are in the tree
	root      *entry
}

// claims keeps chains apart: what is claimed twice is in two chains, or in a
// loop.
type claims []uint64

func newClaims(n int) claims { return make(claims, (n+63)/64) }

// claim reports whether i was unclaimed.
func (c claims) claim(i uint32) bool {
	word, bit := i/64, uint64(1)<<(i%64)
	if c[word]&bit != 0 {
		return false
	}
	c[word] |= bit
	return true
}

func (c claims) has(i uint32) bool { return c[i/64]&(1<<(i%64)) != 0 }

// readCompound reads everything of a compound file but its streams. An error
// that does not wrap errMalformed means that the bytes could not be read.
func readCompound(r io.ReaderAt, size int64) (*compound, error) {
	if size < cfbHeaderSize {
		return nil, malformed("the package is cut off in its header")
	}
	c := &compound{r: r, size: size}
	header, err := c.bytes(0, cfbHeaderSize)
	if err != nil {
		return nil, err
	}
	if err := c.readHeader(header); err != nil {
		return nil, err
	}
	if err := c.readFAT(header); err != nil {
		return nil, err
	}
	if err := c.readDirectory(header); err != nil {
		return nil, err
	}
	if err := c.readMini(header); err != nil {
		return nil, err
	}
	return c, c.readTree()
}

// Offsets in the header ([MS-CFB], 2.2).
const (
	cfbReserved       = 0x08 // 16 bytes of zero, then the minor version
	cfbMajor          = 0x1a
	cfbByteOrder      = 0x1c
	cfbSectorShift    = 0x1e
	cfbMiniShiftAt    = 0x20
	cfbReserved2      = 0x22 // 6 bytes of zero
	cfbDirectoryCount = 0x28 // sectors; 0 in version 3
	cfbFATCount       = 0x2c
	cfbDirectoryFirst = 0x30
	cfbCutoffAt       = 0x38
	cfbMiniFATFirst   = 0x3c
	cfbMiniFATCount   = 0x40
	cfbDIFATFirst     = 0x44
	cfbDIFATCount     = 0x48
	cfbDIFATAt        = 0x4c
)

func (c *compound) readHeader(h []byte) error {
	half := func(at int) uint16 { return binary.LittleEndian.Uint16(h[at:]) }
	c.version, c.shift = half(cfbMajor), uint(half(cfbSectorShift))
	switch {
	case !bytes.HasPrefix(h, cfbMagic):
		return malformed("the package does not begin as one")
	case c.version == 3 && c.shift == 9, c.version == 4 && c.shift == 12:
	default:
		return malformed("the package has an unknown version")
	}
	if !zero(h[cfbReserved:][:16]) || !zero(h[cfbReserved2:][:6]) || half(cfbByteOrder) != 0xfffe ||
		half(cfbMiniShiftAt) != cfbMiniShift || word(h, cfbCutoffAt) != cfbCutoff ||
		c.version == 3 && word(h, cfbDirectoryCount) != 0 {
		return malformed("the package's header has values that it must not have")
	}
	sector := c.sectorSize()
	switch n := (c.size+sector-1)/sector - 1; {
	case n < 2:
		return malformed("the package is cut off in its tables")
	case n > maxSectors:
		return malformed("the package has more than %d sectors", maxSectors)
	default:
		c.sectors = uint32(n)
	}
	rest, err := c.bytes(cfbHeaderSize, sector-cfbHeaderSize)
	if err == nil && !zero(rest) {
		err = malformed("data is hidden behind the package's header")
	}
	c.used = newClaims(int(c.sectors))
	return err
}

// readFAT finds the sectors of the FAT and reads them. It is the one part that
// grows with the file, to a 128th of it, and nothing is allocated for it before
// it is known to be there.
func (c *compound) readFAT(h []byte) error {
	fats, difats, err := c.findFAT(h)
	if err != nil {
		return err
	}
	c.fat = make([]uint32, 0, c.sectors)
	for _, sector := range fats {
		b, err := c.table(sector)
		if err != nil {
			return err
		}
		for _, next := range words(b) {
			if len(c.fat) < int(c.sectors) {
				c.fat = append(c.fat, next)
			} else if next != cfbFree {
				return malformed("the package is cut off: its tables name sectors that it does not have")
			}
		}
	}
	if !c.marked(fats, cfbFAT) || !c.marked(difats, cfbDIFAT) {
		return malformed("the package's tables are damaged")
	}
	return nil
}

// findFAT finds the sectors of the FAT through the DIFAT, 109 entries in the
// header and the rest in a chain of sectors, and claims both.
func (c *compound) findFAT(h []byte) (fats, difats []uint32, err error) {
	count, more := word(h, cfbFATCount), word(h, cfbDIFATCount)
	perSector := uint32(c.sectorSize() / 4)
	if count > c.sectors || uint64(count)*uint64(perSector) < uint64(c.sectors) {
		return nil, nil, malformed("the package's tables do not cover it: it is cut off, or data was appended to it")
	}
	entries, next := words(h[cfbDIFATAt:]), word(h, cfbDIFATFirst)
	for {
		for _, sector := range entries {
			if uint32(len(fats)) == count && sector != cfbFree {
				return nil, nil, malformed("the package's tables are longer than they say")
			}
			if uint32(len(fats)) < count {
				if err := c.claimTable(sector); err != nil {
					return nil, nil, err
				}
				fats = append(fats, sector)
			}
		}
		if uint32(len(difats)) == more {
			break
		}
		if err := c.claimTable(next); err != nil {
			return nil, nil, err
		}
		difats = append(difats, next)
		b, err := c.table(next)
		if err != nil {
			return nil, nil, err
		}
		entries = words(b)
		next, entries = entries[perSector-1], entries[:perSector-1]
	}
	if uint32(len(fats)) != count || next != cfbEnd && next != cfbFree {
		return nil, nil, malformed("the package's tables are damaged")
	}
	return fats, difats, nil
}

// marked reports whether the FAT has a mark for each of sectors.
func (c *compound) marked(sectors []uint32, mark uint32) bool {
	return !slices.ContainsFunc(sectors, func(sector uint32) bool { return c.fat[sector] != mark })
}

// claimTable claims a sector that is no part of a chain.
func (c *compound) claimTable(sector uint32) error {
	if sector >= c.sectors || !c.used.claim(sector) {
		return malformed("the package's tables are damaged")
	}
	return nil
}

// table reads a sector of a table or the directory.
func (c *compound) table(sector uint32) ([]byte, error) {
	c.end = max(c.end, c.offset(sector)+c.sectorSize())
	if err := c.holds(sector, c.sectorSize()); err != nil {
		return nil, err
	}
	return c.bytes(c.offset(sector), c.sectorSize())
}

// holds makes sure that the last sector, which may be cut off, has what of n
// bytes belongs into it.
func (c *compound) holds(sector uint32, n int64) error {
	if n > 0 && c.offset(sector)+min(n, c.sectorSize()) > c.size {
		return malformed("the package is cut off")
	}
	return nil
}

// chain follows the FAT from first to the chain's end, claims the sectors and
// hands them over.
func (c *compound) chain(first uint32, sector func(uint32) error) (length uint32, err error) {
	for at := first; at != cfbEnd; at = c.fat[at] {
		if at >= c.sectors || !c.used.claim(at) {
			return length, malformed("a chain of the package's sectors is damaged, or two of them meet")
		}
		if err := sector(at); err != nil {
			return length, err
		}
		length++
	}
	return length, nil
}

// readMini reads the mini FAT and finds the mini stream, which is what the
// root entry has for a stream.
func (c *compound) readMini(h []byte) error {
	size := c.root.size
	minis := (size + cfbMiniSize - 1) / cfbMiniSize
	if minis > maxEntries*(cfbCutoff/cfbMiniSize) {
		return malformed("the package's mini stream is too large")
	}
	need := (size + c.sectorSize() - 1) / c.sectorSize()
	if need > int64(c.sectors) {
		return malformed("the package is cut off in its mini stream")
	}
	if size > 0 {
		length, err := c.chain(c.root.first, func(sector uint32) error {
			if int64(len(c.mini)) == need {
				return nil
			}
			left := size - int64(len(c.mini))<<c.shift
			c.mini = append(c.mini, sector)
			return c.holds(sector, left)
		})
		if err != nil {
			return err
		}
		if int64(length) < need {
			return malformed("the package's mini stream is cut off")
		}
	}
	count := word(h, cfbMiniFATCount)
	first := word(h, cfbMiniFATFirst)
	if count == 0 && first == cfbFree {
		first = cfbEnd
	}
	length, err := c.chain(first, func(sector uint32) error {
		b, err := c.table(sector)
		if int64(len(c.miniFAT)) < minis {
			c.miniFAT = append(c.miniFAT, words(b)...)
		}
		return err
	})
	if err != nil {
		return err
	}
	if length != count || int64(len(c.miniFAT)) < minis {
		return malformed("the package's tables of short streams are damaged")
	}
	c.miniFAT = c.miniFAT[:minis]
	c.usedMin = newClaims(int(minis))
	return nil
}

func (c *compound) sectorSize() int64 { return 1 << c.shift }

// offset is where a sector lies: the header takes the place of the first.
func (c *compound) offset(sector uint32) int64 { return (int64(sector) + 1) << c.shift }

// bytes reads a part of the file that is known to be there.
func (c *compound) bytes(at, n int64) ([]byte, error) {
	b := make([]byte, n)
	if m, err := c.r.ReadAt(b, at); m < len(b) {
		return nil, fmt.Errorf("compound file: %w", short(err))
	}
	return b, nil
}

func word(b []byte, at int) uint32 { return binary.LittleEndian.Uint32(b[at:]) }

func words(b []byte) []uint32 {
	w := make([]uint32, len(b)/4)
	for i := range w {
		w[i] = word(b, 4*i)
	}
	return w
}

func zero(b []byte) bool { return len(bytes.TrimLeft(b, "\x00")) == 0 }
