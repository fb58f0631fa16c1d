// Package posixacl reads, changes and writes POSIX access control lists in the form
// in which Linux has them in extended attributes (linux/posix_acl_xattr.h). It is pure:
// it opens no file and looks nobody up.
package posixacl

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
)

// Tag says whom an entry is for.
type Tag uint16

// The tags, in the order in which the kernel wants entries.
const (
	Owner  Tag = 0x01
	User   Tag = 0x02 // the user of Entry.ID
	Group  Tag = 0x04 // the file's own
	Groups Tag = 0x08 // the group of Entry.ID
	Mask   Tag = 0x10 // the most that User, Group and Groups give
	Other  Tag = 0x20
)

// Permissions, of which an entry has any.
const (
	Execute = 1
	Write   = 2
	Read    = 4
)

// Entry is one line of a list. ID is a uid or gid with User and Groups, else NoID.
type Entry struct {
	Tag  Tag
	Perm uint16
	ID   uint32
}

// NoID is the ID of entries that have none.
const NoID = ^uint32(0)

// List is a valid list, in the kernel's order.
type List []Entry

// version is that of the attribute; MaxEntries bounds what is read, which is more
// than any file system holds.
const (
	version    = 2
	entrySize  = 8
	MaxEntries = 8191
)

// ErrMalformed is wrapped by everything that Decode refuses.
var ErrMalformed = errors.New("not a POSIX access control list")

// Decode reads an attribute's value. What the kernel would not take is refused, and
// so is a list that names somebody twice: what it means is not certain.
func Decode(data []byte) (List, error) {
	if len(data) < 4 || (len(data)-4)%entrySize != 0 || (len(data)-4)/entrySize > MaxEntries {
		return nil, fmt.Errorf("%w: it has %d bytes", ErrMalformed, len(data))
	}
	if v := binary.LittleEndian.Uint32(data); v != version {
		return nil, fmt.Errorf("%w: found version %d, expected %d", ErrMalformed, v, version)
	}
	list := make(List, 0, (len(data)-4)/entrySize)
	for at := 4; at < len(data); at += entrySize {
		list = append(list, Entry{
			Tag:  Tag(binary.LittleEndian.Uint16(data[at:])),
			Perm: binary.LittleEndian.Uint16(data[at+2:]),
			ID:   binary.LittleEndian.Uint32(data[at+4:]),
		})
	}
	return list, list.valid()
}

// valid holds a list against acl(5).
func (l List) valid() error {
	count := map[Tag]int{}
	for i, e := range l {
		named := e.Tag == User || e.Tag == Groups
		switch {
		case e.Tag != Owner && e.Tag != Group && e.Tag != Mask && e.Tag != Other && !named:
			return fmt.Errorf("%w: entry %d has tag %#x", ErrMalformed, i, uint16(e.Tag))
		case e.Perm&^(Read|Write|Execute) != 0:
			return fmt.Errorf("%w: entry %d has permissions %#x", ErrMalformed, i, e.Perm)
		case named == (e.ID == NoID):
			return fmt.Errorf("%w: entry %d has the id %d", ErrMalformed, i, e.ID)
		case i > 0 && compare(l[i-1], e) >= 0:
			return fmt.Errorf("%w: entry %d is out of order, or there twice", ErrMalformed, i)
		}
		count[e.Tag]++
	}
	if count[Owner] != 1 || count[Group] != 1 || count[Other] != 1 || count[Mask] == 0 && count[User]+count[Groups] > 0 {
		return fmt.Errorf("%w: an entry is missing", ErrMalformed)
	}
	return nil
}

func compare(a, b Entry) int {
	if a.Tag != b.Tag {
		return int(a.Tag) - int(b.Tag)
	}
	if a.ID == b.ID {
		return 0
	}
	if a.ID < b.ID {
		return -1
	}
	return 1
}

// Encode returns the attribute's value.
func (l List) Encode() []byte {
	data := binary.LittleEndian.AppendUint32(make([]byte, 0, 4+len(l)*entrySize), version)
	for _, e := range l {
		data = binary.LittleEndian.AppendUint16(data, uint16(e.Tag))
		data = binary.LittleEndian.AppendUint16(data, e.Perm)
		data = binary.LittleEndian.AppendUint32(data, e.ID)
	}
	return data
}

// OfMode is the list of a file that has none but its mode. To write it takes a list
// away, and sets the nine bits of the mode.
func OfMode(mode uint16) List {
	return List{{Owner, mode >> 6 & 7, NoID}, {Group, mode >> 3 & 7, NoID}, {Other, mode & 7, NoID}}
}

// find returns the place of an entry, and whether it is there.
func (l List) find(tag Tag, id uint32) (int, bool) {
	return slices.BinarySearchFunc(l, Entry{Tag: tag, ID: id}, compare)
}

// set returns l with one entry, in place of the one that was there.
func (l List) set(e Entry) List {
	at, there := l.find(e.Tag, e.ID)
	if there {
		l[at].Perm = e.Perm
		return l
	}
	return slices.Insert(l, at, e)
}

// masked reports what the entries of users and groups give at most.
func (l List) masked() uint16 {
	if at, there := l.find(Mask, NoID); there {
		return l[at].Perm
	}
	at, _ := l.find(Group, NoID)
	return l[at].Perm
}

// Deny returns l with nothing for user, and everybody else as they were. It does not
// bind the file's owner, whom Owner is for.
func (l List) Deny(user uint32) List {
	mask := l.masked() // before: what a named user needs a mask for must not widen it
	return slices.Clone(l).set(Entry{User, 0, user}).set(Entry{Mask, mask, NoID})
}

// Allow returns l with perm for user, and everybody else as they were.
//
// Attack: the mask has to let perm through, and what it held back from others would
// be let through with it. So what it held back is taken from their entries first.
func (l List) Allow(user uint32, perm uint16) List {
	l = slices.Clone(l)
	mask := l.masked()
	for i := range l {
		if l[i].Tag == User || l[i].Tag == Group || l[i].Tag == Groups {
			l[i].Perm &= mask
		}
	}
	return l.set(Entry{User, perm, user}).set(Entry{Mask, mask | perm, NoID})
}

// Undo returns l with what before has for user, and everybody else as they are. A
// mask that nobody needs any more, and that before had not, goes.
func (l List) Undo(before List, user uint32) List {
	l = slices.Clone(l)
	if perm, there := before.Permission(user); there {
		return l.set(Entry{User, perm, user}) // as far as it was let through: the mask may be wider now
	}
	if at, there := l.find(User, user); there {
		l = slices.Delete(l, at, at+1)
	}
	if _, had := before.find(Mask, NoID); had || slices.ContainsFunc(l, func(e Entry) bool { return e.Tag == User || e.Tag == Groups }) {
		return l
	}
	if at, there := l.find(Mask, NoID); there {
		mask := l[at].Perm
		l = slices.Delete(l, at, at+1)
		group, _ := l.find(Group, NoID)
		l[group].Perm &= mask
	}
	return l
}

// Permission returns what l gives a user by an entry of their own, and whether there
// is one.
func (l List) Permission(user uint32) (perm uint16, there bool) {
	at, there := l.find(User, user)
	if !there {
		return 0, false
	}
	return l[at].Perm & l.masked(), true
}
