package dacl

import (
	"bytes"
	"slices"
)

// Rights of files (learn.microsoft.com, "File Access Rights Constants", "Standard
// Access Rights").
const (
	readData        = 0x1
	writeData       = 0x2
	appendData      = 0x4
	readAttributes  = 0x80
	readEA          = 0x8
	writeEA         = 0x10
	execute         = 0x20
	writeAttributes = 0x100
	remove          = 0x1_0000
	readControl     = 0x2_0000
	writeDAC        = 0x4_0000
	writeOwner      = 0x8_0000
	synchronize     = 0x10_0000
)

const (
	// kept is what Deny takes: reading, changing, deleting, and giving oneself any of it.
	// To see that there is a file, and what its list says, is left to people.
	kept = readData | writeData | appendData | readEA | writeEA | execute | writeAttributes | remove | writeDAC | writeOwner
	// given is what Allow gives: FILE_GENERIC_READ and FILE_GENERIC_WRITE.
	given = readData | writeData | appendData | readAttributes | readEA | writeEA | writeAttributes | readControl | synchronize
)

// Deny returns l with an entry before all others that keeps sid from the file, and
// everybody else as they were. It does not bind the file's owner, who may change the
// list.
func (l List) Deny(sid SID) List {
	return l.with(slices.Insert(slices.Clone(l.Entries), 0, entry(denied, kept, sid)))
}

// Allow returns l with reading and writing for sid, and everybody else as they were. What
// kept sid itself out goes; what keeps a group out that sid is in, and does not come from
// a folder above, stays.
func (l List) Allow(sid SID) List {
	entries := slices.DeleteFunc(slices.Clone(l.Entries), func(e Entry) bool { return e[0] == denied && e.own(sid) })
	return l.with(slices.Insert(entries, denials(entries), entry(allowed, given, sid)))
}

// Undo returns l with the entries that before has for sid itself, and everybody else as
// they are.
func (l List) Undo(before List, sid SID) List {
	entries := slices.DeleteFunc(slices.Clone(l.Entries), func(e Entry) bool { return e.own(sid) })
	var out, in []Entry
	for _, e := range before.Entries {
		switch {
		case !e.own(sid):
		case e[0] == denied:
			out = append(out, e)
		default:
			in = append(in, e)
		}
	}
	entries = slices.Insert(entries, 0, out...)
	return l.with(slices.Insert(entries, denials(entries), in...))
}

// denials is where the entries that keep somebody out end, of those that were made for
// the file itself: Windows wants them first ([MS-DTYP], section 2.4.5, "canonical form").
func denials(entries []Entry) int {
	at := slices.IndexFunc(entries, func(e Entry) bool { return e.Inherited() || !e.denies() })
	if at < 0 {
		return len(entries)
	}
	return at
}

// own reports whether e was made for the file itself and for sid alone.
func (e Entry) own(sid SID) bool { return e.simple() && !e.Inherited() && bytes.Equal(e.SID(), sid) }

func (l List) with(entries []Entry) List {
	l.Entries = entries
	return l
}

// Give returns l with mask for sid, by one more entry. Take returns it without one that
// Give has made: what else there is for sid stays.
func (l List) Give(sid SID, mask uint32) List {
	entries := slices.Clone(l.Entries)
	return l.with(slices.Insert(entries, denials(entries), entry(allowed, mask, sid)))
}

// Take undoes Give.
func (l List) Take(sid SID, mask uint32) List {
	entries, made := slices.Clone(l.Entries), entry(allowed, mask, sid)
	if at := slices.IndexFunc(entries, func(e Entry) bool { return bytes.Equal(e, made) }); at >= 0 {
		entries = slices.Delete(entries, at, at+1)
	}
	return l.with(entries)
}
