package authenticode

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"slices"
	"unicode"
)

// Bounds of a directory. A package has a stream for each of its tables, icons
// and custom actions; the largest have some thousands.
const (
	maxEntries = 1 << 16
	maxStorage = 16 // depth of storages in storages
)

// Object types, and offsets in an entry ([MS-CFB], 2.6.1).
const (
	cfbUnused  = 0
	cfbStorage = 1
	cfbStream  = 2
	cfbRoot    = 5

	cfbEntrySize  = 128
	cfbNameLength = 0x40 // in bytes, the terminating zero counted
	cfbType       = 0x42
	cfbLeft       = 0x44
	cfbRight      = 0x48
	cfbChild      = 0x4c
	cfbCLSID      = 0x50
	cfbState      = 0x60
	cfbTimes      = 0x64 // created, modified
	cfbFirst      = 0x74
	cfbSize       = 0x78
)

// entry is a stream or a storage in the directory.
type entry struct {
	raw      []byte // cfbEntrySize bytes
	name     []byte // UTF-16LE without the terminating zero
	kind     byte
	first    uint32
	size     int64
	children []*entry // by name, as a signature has them
}

// readDirectory reads the directory's sectors, and the root entry.
func (c *compound) readDirectory(h []byte) error {
	length, err := c.chain(word(h, cfbDirectoryFirst), func(sector uint32) error {
		if len(c.directory) >= maxEntries*cfbEntrySize {
			return malformed("the package's directory has more than %d entries", maxEntries)
		}
		b, err := c.table(sector)
		c.directory = append(c.directory, b...)
		return err
	})
	if err != nil {
		return err
	}
	if length == 0 || c.version == 4 && length != word(h, cfbDirectoryCount) {
		return malformed("the package's directory is damaged")
	}
	c.seen = newClaims(len(c.directory) / cfbEntrySize)
	c.seen.claim(0)
	c.root, err = c.entry(0)
	if err != nil {
		return err
	}
	if c.root.kind != cfbRoot || !bytes.Equal(c.root.name, utf16le("Root Entry")) ||
		word(c.root.raw, cfbLeft) != cfbFree || word(c.root.raw, cfbRight) != cfbFree {
		return malformed("the package's directory has no root")
	}
	return nil
}

// entry reads the entry of that number.
func (c *compound) entry(id uint32) (*entry, error) {
	raw := c.directory[int(id)*cfbEntrySize:][:cfbEntrySize:cfbEntrySize]
	e := &entry{raw: raw, kind: raw[cfbType], first: word(raw, cfbFirst)}
	n := int(binary.LittleEndian.Uint16(raw[cfbNameLength:]))
	if n < 4 || n > cfbNameLength || n%2 != 0 {
		return nil, malformed("the package's directory has an entry without a name")
	}
	e.name = raw[:n-2]
	// A name that ends early for one reader and not for another is two names.
	if raw[n-2] != 0 || raw[n-1] != 0 || slices.Contains(units(e.name), 0) {
		return nil, malformed("the package's directory has a name with an end of its own")
	}
	// The upper half of a size is undefined in version 3.
	size := uint64(word(raw, cfbSize))
	if c.version == 4 {
		size = binary.LittleEndian.Uint64(raw[cfbSize:])
	}
	if e.kind != cfbStorage && size > uint64(c.size) {
		return nil, malformed("a stream of the package reaches past its end")
	}
	e.size = int64(size)
	return e, nil
}

// readTree reads the storages from the root down and claims what their streams
// lie in. Entries that are not in the tree must be unused.
func (c *compound) readTree() error {
	if err := c.readStorage(c.root, 0); err != nil {
		return err
	}
	for id := range uint32(len(c.directory) / cfbEntrySize) {
		if !c.seen.has(id) && c.directory[int(id)*cfbEntrySize+cfbType] != cfbUnused {
			return malformed("the package's directory has an entry that belongs to no storage")
		}
	}
	return nil
}

// readStorage reads a storage's children: a binary tree of siblings. Who looks
// a name up goes left or right by the order of names; an entry on the wrong
// side is there for those who list the storage, as a signature does, and not
// for the installer. So the tree has to be in order, and no name be there
// twice. It need not be balanced, and may be as deep as it has entries.
func (c *compound) readStorage(storage *entry, depth int) error {
	if depth > maxStorage {
		return malformed("the package's storages are nested too deep")
	}
	type node struct {
		*entry
		right uint32
	}
	var path []node
	var last *entry
	for at := word(storage.raw, cfbChild); at != cfbFree || len(path) > 0; {
		for at != cfbFree {
			if int64(at) >= int64(len(c.directory)/cfbEntrySize) || !c.seen.claim(at) {
				return malformed("the package's directory is damaged, or two of its branches meet")
			}
			e, err := c.entry(at)
			if err != nil {
				return err
			}
			path = append(path, node{e, word(e.raw, cfbRight)})
			at = word(e.raw, cfbLeft)
		}
		e := path[len(path)-1]
		path, at = path[:len(path)-1], e.right
		if last != nil && compareNames(last.name, e.name) >= 0 {
			return malformed("the package's directory is not in order, or has a name twice")
		}
		last = e.entry
		storage.children = append(storage.children, last)
	}
	for _, e := range storage.children {
		if err := c.readChild(e, depth); err != nil {
			return err
		}
	}
	slices.SortFunc(storage.children, func(a, b *entry) int { return compareSigned(a.name, b.name) })
	return nil
}

func (c *compound) readChild(e *entry, depth int) error {
	switch e.kind {
	case cfbStorage:
		return c.readStorage(e, depth+1)
	case cfbStream:
		if word(e.raw, cfbChild) != cfbFree {
			return malformed("a stream of the package has children")
		}
		return c.claimStream(e)
	}
	return malformed("the package's directory has an entry of an unknown kind")
}

// compareNames is the order of siblings ([MS-CFB], 2.6.4): by length, then by
// the upper case of each UTF-16 code unit.
func compareNames(a, b []byte) int {
	if order := cmp.Compare(len(a), len(b)); order != 0 {
		return order
	}
	return slices.CompareFunc(units(a), units(b), func(a, b uint16) int { return cmp.Compare(upper(a), upper(b)) })
}

func upper(unit uint16) uint16 {
	if u := unicode.ToUpper(rune(unit)); u <= 0xffff {
		return uint16(u)
	}
	return unit
}

// compareSigned is the order in which streams are signed: by the bytes of
// their names as they lie in the file, the terminating zero counted.
func compareSigned(a, b []byte) int {
	n := min(len(a), len(b))
	if order := bytes.Compare(a[:n], b[:n]); order != 0 || len(a) == len(b) {
		return order
	}
	if len(a) < len(b) {
		return bytes.Compare([]byte{0, 0}, b[n:n+2])
	}
	return bytes.Compare(a[n:n+2], []byte{0, 0})
}

// units are the code units of UTF-16LE.
func units(b []byte) []uint16 {
	u := make([]uint16, len(b)/2)
	for i := range u {
		u[i] = binary.LittleEndian.Uint16(b[2*i:])
	}
	return u
}

// utf16le encodes ASCII.
func utf16le(s string) []byte {
	b := make([]byte, 0, 2*len(s))
	for i := range len(s) {
		b = append(b, s[i], 0)
	}
	return b
}
