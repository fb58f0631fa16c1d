// Package dacl reads, changes and writes discretionary access control lists of files in
// the form that Windows has them in: a self-relative security descriptor with a list
// and nothing else ([MS-DTYP], sections 2.4.4 to 2.4.6). It is pure: it opens no file
// and looks nobody up.
package dacl

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
)

// ErrMalformed is wrapped by everything that Decode refuses.
var ErrMalformed = errors.New("not an access control list of Windows")

// ErrNone is wrapped for a descriptor without a list: everybody may do everything, and
// there is nothing that an entry could be put into.
var ErrNone = errors.New("there is no access control list, so that everybody may do everything; give the file one with icacls")

// ErrFull is wrapped where a list would get longer than Windows has room for, which is
// 64 KiB.
var ErrFull = errors.New("the access control list is full; remove entries that nobody needs with icacls")

// Kinds of entries that Allow and Deny make, and those that keep somebody out.
const (
	allowed        = 0
	denied         = 1
	deniedObject   = 6
	deniedCallback = 10
	deniedBoth     = 12
)

// inherited is INHERITED_ACE: the entry comes from a folder above.
const inherited = 0x10

// Entry is one entry of a list, as it lies there.
type Entry []byte

// List is a valid list.
type List struct {
	// Protected lists take nothing from the folder that the file lies in.
	// AutoInherited ones have been brought up to date with it.
	Protected, AutoInherited bool
	Entries                  []Entry

	revision byte // 2 if 0
}

// Sizes and offsets.
const (
	descriptorSize = 20
	listSize       = 8
	entrySize      = 8 // of an Entry that has a mask
	shortestSID    = 8 // with no sub-authority
	maxList        = 0xffff
	maxSubs        = 15 // SID_MAX_SUB_AUTHORITIES
)

// Bits of a descriptor's control.
const (
	present       = 0x0004
	inheritReq    = 0x0100
	autoInherited = 0x0400
	protected     = 0x1000
	selfRelative  = 0x8000
)

// Decode reads a self-relative descriptor. What it says of owners and of auditing is
// left out.
func Decode(data []byte) (List, error) {
	if len(data) < descriptorSize || data[0] != 1 {
		return List{}, fmt.Errorf("%w: it has %d bytes, or another revision than 1", ErrMalformed, len(data))
	}
	control, at := binary.LittleEndian.Uint16(data[2:]), binary.LittleEndian.Uint32(data[16:])
	if control&selfRelative == 0 {
		return List{}, fmt.Errorf("%w: its control is %#x", ErrMalformed, control)
	}
	if control&present == 0 || at == 0 {
		return List{}, ErrNone
	}
	if uint64(at)+listSize > uint64(len(data)) {
		return List{}, fmt.Errorf("%w: the list would begin at %d of %d bytes", ErrMalformed, at, len(data))
	}
	data = data[at:]
	l := List{Protected: control&protected != 0, AutoInherited: control&autoInherited != 0, revision: data[0]}
	size, count := int(binary.LittleEndian.Uint16(data[2:])), int(binary.LittleEndian.Uint16(data[4:]))
	if l.revision != 2 && l.revision != 4 || size < listSize || size > len(data) {
		return List{}, fmt.Errorf("%w: revision %d, %d of %d bytes", ErrMalformed, l.revision, size, len(data))
	}
	data = data[listSize:size]
	for i := range count {
		if len(data) < 4 {
			return List{}, fmt.Errorf("%w: entry %d of %d is missing", ErrMalformed, i, count)
		}
		n := int(binary.LittleEndian.Uint16(data[2:]))
		if n < 4 || n > len(data) {
			return List{}, fmt.Errorf("%w: entry %d has %d of %d bytes", ErrMalformed, i, n, len(data))
		}
		e := Entry(data[:n:n])
		if e.simple() && e.SID() == nil {
			return List{}, fmt.Errorf("%w: entry %d is for nobody", ErrMalformed, i)
		}
		l.Entries, data = append(l.Entries, e), data[n:]
	}
	return l, nil
}

// Encode returns l as Decode reads it, with nothing that could differ between two of
// the same: lists are equal if their bytes are.
func (l List) Encode() ([]byte, error) { return l.encode(0) }

// ToSet returns l as the kernel is told it. AutoInherited is asked for by a second bit
// (learn.microsoft.com, "SECURITY_DESCRIPTOR_CONTROL").
func (l List) ToSet() ([]byte, error) {
	if l.AutoInherited {
		return l.encode(inheritReq)
	}
	return l.encode(0)
}

func (l List) encode(control uint16) ([]byte, error) {
	control |= selfRelative | present
	if l.Protected {
		control |= protected
	}
	if l.AutoInherited {
		control |= autoInherited
	}
	body := bytes.Join(asBytes(l.Entries), nil)
	if listSize+len(body) > maxList {
		return nil, ErrFull
	}
	data := make([]byte, descriptorSize+listSize, descriptorSize+listSize+len(body))
	data[0] = 1
	binary.LittleEndian.PutUint16(data[2:], control)
	binary.LittleEndian.PutUint32(data[16:], descriptorSize)
	head := data[descriptorSize:]
	head[0] = max(l.revision, 2)
	binary.LittleEndian.PutUint16(head[2:], uint16(listSize+len(body)))
	binary.LittleEndian.PutUint16(head[4:], uint16(len(l.Entries)))
	return append(data, body...), nil
}

func asBytes(entries []Entry) [][]byte {
	parts := make([][]byte, len(entries))
	for i, e := range entries {
		parts[i] = e
	}
	return parts
}

// simple reports whether e is of the two kinds that Allow and Deny make.
func (e Entry) simple() bool { return e[0] == allowed || e[0] == denied }

// Inherited reports whether e comes from a folder above.
func (e Entry) Inherited() bool { return e[1]&inherited != 0 }

// denies reports whether e keeps somebody out.
func (e Entry) denies() bool {
	return slices.Contains([]byte{denied, deniedObject, deniedCallback, deniedBoth}, e[0])
}

// SID returns whom a simple entry is for; nil if it names nobody.
func (e Entry) SID() SID {
	if len(e) < entrySize+shortestSID {
		return nil
	}
	sid := SID(e[entrySize:])
	if sid[0] != 1 || sid[1] > maxSubs || len(sid) < shortestSID+4*int(sid[1]) {
		return nil
	}
	return sid[:shortestSID+4*int(sid[1])]
}

// Mask returns the rights that a simple entry is about.
func (e Entry) Mask() uint32 { return binary.LittleEndian.Uint32(e[4:]) }

// entry makes one for the file itself, which nothing inherits.
func entry(kind byte, mask uint32, sid SID) Entry {
	e := make(Entry, entrySize, entrySize+len(sid))
	e[0] = kind
	binary.LittleEndian.PutUint16(e[2:], uint16(entrySize+len(sid)))
	binary.LittleEndian.PutUint32(e[4:], mask)
	return append(e, sid...)
}
