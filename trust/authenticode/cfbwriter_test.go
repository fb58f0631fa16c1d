package authenticode

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"slices"
	"strings"
	"testing"
)

// cfbObject is a stream or, with kids, a storage that is to be written.
type cfbObject struct {
	name  string
	data  []byte
	kids  []*cfbObject
	class [16]byte
	state uint32
	times [16]byte
	dir   bool

	id          uint32
	first, size uint32
	left, right uint32
	child       uint32
}

func storageOf(name string, kids ...*cfbObject) *cfbObject {
	return &cfbObject{name: name, kids: kids, dir: true}
}
func streamOf(name string, data []byte) *cfbObject { return &cfbObject{name: name, data: data} }

// at finds an object by the names on the way to it.
func (o *cfbObject) at(path ...string) *cfbObject {
	for _, name := range path {
		i := slices.IndexFunc(o.kids, func(k *cfbObject) bool { return k.name == name })
		if i < 0 {
			panic("no stream " + name)
		}
		o = o.kids[i]
	}
	return o
}

func (o *cfbObject) without(name string) {
	o.kids = slices.DeleteFunc(o.kids, func(k *cfbObject) bool { return k.name == name })
}

// layout is one of the many ways to arrange a package. A signature is about
// none of them.
type layout struct {
	version  uint16 // 3 or 4; 0 is 3
	scatter  bool   // chains run backwards
	balanced bool   // the directory is a tree instead of a list
	unsorted bool   // the directory is as the tree has it
	lead     int    // unused sectors in front
	free     [][]byte
	tail     bool // long streams come last, behind the one FAT sector
	long     int  // sectors that the chain of the first stream goes on for
}

// volume is a compound file in the making.
type volume struct {
	layout
	sector  int
	sectors [][]byte
	fat     []uint32
	mini    []byte
	miniFAT []uint32
	entries []*cfbObject
	table   int // where the FAT begins
}

func (l layout) write(root *cfbObject) []byte {
	v := &volume{layout: l, sector: 512}
	if l.version == 4 {
		v.sector = 4096
	}
	v.list(root)
	for range l.lead {
		v.unused(nil)
	}
	if !l.tail {
		v.placeLong()
	}
	v.placeShort()
	for _, content := range l.free {
		v.unused(content)
	}
	root.size = uint32(len(v.mini))
	root.first = v.chain(v.mini, 0)
	miniFAT := pack(v.miniFAT)
	miniFirst, miniCount := v.chain(pad(miniFAT, v.sector, 0xff), 0), (len(miniFAT)+v.sector-1)/v.sector
	directory := make([]byte, (len(v.entries)*cfbEntrySize+v.sector-1)/v.sector*v.sector)
	dirFirst := v.chain(directory, 0)
	v.table = len(v.sectors)
	if l.tail {
		v.unused(nil)
		v.fat[v.table] = cfbFAT
		v.placeLong()
	}
	copy(directory, v.entriesOf())
	for at := dirFirst; at != cfbEnd; at = v.fat[at] {
		v.sectors[at], directory = directory[:v.sector], directory[v.sector:]
	}
	return v.finish(dirFirst, miniFirst, miniCount)
}

// entriesOf is the directory.
func (v *volume) entriesOf() []byte {
	var b []byte
	for _, o := range v.entries {
		b = append(b, o.entry()...)
	}
	for len(b)%v.sector != 0 {
		unused := make([]byte, cfbEntrySize)
		copy(unused[cfbLeft:], bytes.Repeat([]byte{0xff}, 12))
		b = append(b, unused...)
	}
	return b
}

func (v *volume) unused(content []byte) {
	sector := make([]byte, v.sector)
	copy(sector, content)
	v.sectors, v.fat = append(v.sectors, sector), append(v.fat, cfbFree)
}

// list numbers the objects and links siblings.
func (v *volume) list(o *cfbObject) {
	o.id, o.left, o.right, o.child = uint32(len(v.entries)), cfbFree, cfbFree, cfbFree
	v.entries = append(v.entries, o)
	kids := slices.Clone(o.kids)
	if !v.unsorted {
		slices.SortStableFunc(kids, func(a, b *cfbObject) int {
			x, y := encodeName(strings.ToUpper(a.name)), encodeName(strings.ToUpper(b.name))
			if len(x) != len(y) {
				return cmp.Compare(len(x), len(y))
			}
			return slices.Compare(units(x), units(y))
		})
	}
	for _, k := range kids {
		v.list(k)
	}
	o.child = v.link(kids)
}

func (v *volume) link(kids []*cfbObject) uint32 {
	if len(kids) == 0 {
		return cfbFree
	}
	middle := 0
	if v.balanced {
		middle = len(kids) / 2
	}
	o := kids[middle]
	o.left, o.right = v.link(kids[:middle]), v.link(kids[middle+1:])
	return o.id
}

// placeShort puts the streams that are short into the mini stream.
func (v *volume) placeShort() {
	for _, o := range v.entries {
		o.size = uint32(len(o.data))
		if o.dir || o.size == 0 || o.size >= cfbCutoff {
			continue
		}
		o.first = uint32(len(v.miniFAT))
		for n := (len(o.data) + 63) / 64; n > 0; n-- {
			next := uint32(len(v.miniFAT) + 1)
			if n == 1 {
				next = cfbEnd
			}
			v.miniFAT = append(v.miniFAT, next)
		}
		v.mini = append(v.mini, pad(o.data, 64, 0)...)
	}
}

// placeLong gives the others sectors.
func (v *volume) placeLong() {
	for _, o := range v.entries {
		if len(o.data) >= cfbCutoff {
			o.first = v.chain(o.data, v.long)
			v.long = 0
		}
	}
}

// chain allocates sectors for data, and more after them.
func (v *volume) chain(data []byte, more int) uint32 {
	n := (len(data)+v.sector-1)/v.sector + more
	if n == 0 {
		return cfbEnd
	}
	base := len(v.sectors)
	data = append(pad(data, v.sector, 0), make([]byte, more*v.sector)...)
	v.sectors, v.fat = append(v.sectors, make([][]byte, n)...), append(v.fat, make([]uint32, n)...)
	place := func(i int) int {
		if v.scatter {
			return base + n - 1 - i
		}
		return base + i
	}
	for i := range n {
		v.sectors[place(i)] = data[i*v.sector:][:v.sector]
		v.fat[place(i)] = cfbEnd
		if i+1 < n {
			v.fat[place(i)] = uint32(place(i + 1))
		}
	}
	return uint32(place(0))
}

// finish adds FAT, DIFAT and header.
func (v *volume) finish(dirFirst, miniFirst uint32, miniCount int) []byte {
	per := v.sector / 4
	fats, difats := 0, 0
	for !v.tail {
		needFAT := (len(v.fat) + fats + difats + per - 1) / per
		needDIFAT := max(0, (needFAT-cfbHeaderFATs+per-2)/(per-1))
		if needFAT == fats && needDIFAT == difats {
			break
		}
		fats, difats = needFAT, needDIFAT
	}
	for range fats {
		v.fat = append(v.fat, cfbFAT)
	}
	difatFirst := len(v.fat)
	for range difats {
		v.fat = append(v.fat, cfbDIFAT)
	}
	var list []uint32
	for i := range max(fats, 1) {
		list = append(list, uint32(v.table+i))
	}
	le := binary.LittleEndian
	h := make([]byte, v.sector)
	copy(h, cfbMagic)
	le.PutUint16(h[0x18:], 0x3e)
	le.PutUint16(h[cfbMajor:], max(v.version, 3))
	le.PutUint16(h[cfbByteOrder:], 0xfffe)
	le.PutUint16(h[cfbSectorShift:], uint16(9+3*(v.sector/4096)))
	le.PutUint16(h[cfbMiniShiftAt:], cfbMiniShift)
	if v.version == 4 {
		le.PutUint32(h[cfbDirectoryCount:], uint32((len(v.entries)*cfbEntrySize+v.sector-1)/v.sector))
	}
	next := uint32(cfbEnd)
	if difats > 0 {
		next = uint32(difatFirst)
	}
	for at, n := range map[int]uint32{cfbFATCount: uint32(len(list)), cfbDirectoryFirst: dirFirst, cfbCutoffAt: cfbCutoff,
		cfbMiniFATFirst: miniFirst, cfbMiniFATCount: uint32(miniCount), cfbDIFATFirst: next, cfbDIFATCount: uint32(difats)} {
		le.PutUint32(h[at:], n)
	}
	inHeader := min(len(list), cfbHeaderFATs)
	copy(h[cfbDIFATAt:], bytes.Repeat([]byte{0xff}, 4*cfbHeaderFATs))
	copy(h[cfbDIFATAt:], pack(list[:inHeader]))
	fat := pad(pack(v.fat), v.sector, 0xff)
	if v.tail {
		v.sectors[v.table], fat = fat, nil
	}
	file := bytes.Join(append([][]byte{h}, v.sectors...), nil)
	file = append(file, fat...)
	for list = list[inHeader:]; len(list) > 0; {
		n := min(len(list), per-1)
		difatFirst++
		next := uint32(difatFirst)
		if n == len(list) {
			next = cfbEnd
		}
		file = append(append(file, pad(pack(list[:n]), v.sector-4, 0xff)...), pack([]uint32{next})...)
		list = list[n:]
	}
	return file
}

// entry is the object in the directory.
func (o *cfbObject) entry() []byte {
	le := binary.LittleEndian
	b := make([]byte, cfbEntrySize)
	name := encodeName(o.name)
	copy(b, name)
	le.PutUint16(b[cfbNameLength:], uint16(len(name)+2))
	b[cfbType], b[cfbType+1] = cfbStream, 1
	if o.dir {
		b[cfbType] = cfbStorage
	}
	if o.id == 0 {
		b[cfbType] = cfbRoot
	}
	for at, n := range map[int]uint32{cfbLeft: o.left, cfbRight: o.right, cfbChild: o.child, cfbState: o.state, cfbFirst: o.first, cfbSize: o.size} {
		le.PutUint32(b[at:], n)
	}
	copy(b[cfbCLSID:], o.class[:])
	copy(b[cfbTimes:], o.times[:])
	return b
}

func encodeName(s string) []byte {
	var b []byte
	for _, r := range s {
		b = binary.LittleEndian.AppendUint16(b, uint16(r))
	}
	return b
}

func pack(w []uint32) []byte {
	var b []byte
	for _, n := range w {
		b = binary.LittleEndian.AppendUint32(b, n)
	}
	return b
}

func pad(b []byte, to int, with byte) []byte {
	return append(bytes.Clone(b), bytes.Repeat([]byte{with}, (to-len(b)%to)%to)...)
}

// load reads a package back into objects.
func load(t testing.TB, b []byte) *cfbObject {
	t.Helper()
	c, err := readCompound(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	var from func(e *entry) *cfbObject
	from = func(e *entry) *cfbObject {
		o := &cfbObject{dir: e.kind != cfbStream, state: word(e.raw, cfbState)}
		for _, u := range units(e.name) {
			o.name += string(rune(u))
		}
		copy(o.class[:], e.raw[cfbCLSID:])
		copy(o.times[:], e.raw[cfbTimes:])
		for _, k := range e.children {
			o.kids = append(o.kids, from(k))
		}
		if !o.dir {
			err := c.copyTo(context.Background(), e, make([]byte, readSize), func(part []byte) { o.data = append(o.data, part...) })
			if err != nil {
				t.Fatal(err)
			}
		}
		return o
	}
	return from(c.root)
}
