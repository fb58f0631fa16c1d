package journal

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// position is a point in the chain: just after the record Seq.
type position struct {
	Segment uint64 `json:"segment"` // first seq of the segment the record is in
	Offset  int64  `json:"offset"`  // bytes of that segment up to here
	Seq     uint64 `json:"seq"`
	Hash    string `json:"hash"` // of the record's line
}

// head is State/journal.head: how far the journal was known to be durable.
type head struct {
	position
	// First is the first seq of the oldest segment that must be there; older
	// ones were removed by KeepSegments.
	First uint64 `json:"first"`
}

const headName = "journal.head"

// errHead is wrapped when the head is there and cannot be understood.
var errHead = errors.New("the head cannot be understood")

// readHead returns fs.ErrNotExist when there is no head.
func readHead(stateDir string) (head, error) {
	var h head
	data, err := os.ReadFile(filepath.Join(stateDir, headName))
	if err != nil {
		return h, err
	}
	if err := json.Unmarshal(data, &h); err != nil {
		return head{}, fmt.Errorf("%w: %w", errHead, err)
	}
	if len(h.Hash) != len(noHash) || h.Offset < 0 || h.Segment > h.Seq {
		return head{}, fmt.Errorf("%w: %s", errHead, data)
	}
	return h, nil
}

// Fault is the first place where the journal is not what was written. It is an
// error whose text names file, line, what was found and what was expected.
type Fault struct {
	File     string `json:"file"`
	Line     int    `json:"line,omitempty"` // from 1; 0 when the fault is the file
	Seq      uint64 `json:"seq,omitempty"`  // the record expected there
	Found    string `json:"found"`
	Expected string `json:"expected"`
	// Remedy is what an administrator can do about a fault of signatures.
	Remedy string `json:"remedy,omitempty"`
}

// Error describes the fault in one line.
func (f *Fault) Error() string {
	where := f.File
	if f.Line > 0 {
		where += fmt.Sprintf(", line %d (record %d)", f.Line, f.Seq)
	}
	return fmt.Sprintf("journal: %s: found %s, expected %s", where, f.Found, f.Expected)
}

// segments lists the first seqs of all segments in dir, in order.
func segments(dir string) ([]uint64, error) {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var list []uint64
	for _, entry := range entries {
		if seq, ok := segmentSeq(entry.Name()); ok {
			list = append(list, seq)
		}
	}
	slices.Sort(list)
	return list, nil
}

// chain walks segments and remembers the last record that was right.
type chain struct {
	at    position
	begun bool // at.Seq and at.Hash bind the next record
	head  head // checked when the walk passes it
	lines int
	tail  int64 // bytes of the last segment walked that are not part of the chain
	// partial is true when that tail is nothing but one unfinished line.
	partial bool
	visit   func(*Record)
	check   func(*Record) *Fault // asked of every record that is right otherwise
}

// segment walks the segment that begins with record first. A nil Fault means
// that every byte of it belongs to the chain.
func (c *chain) segment(dir string, first uint64) (*Fault, error) {
	name := filepath.Join(dir, segmentName(first))
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	c.tail, c.partial = 0, false
	if c.begun && first != c.at.Seq+1 {
		return &Fault{File: name, Line: 1, Seq: c.at.Seq + 1, Found: fmt.Sprintf("a segment that begins with record %d", first),
			Expected: fmt.Sprintf("record %d: a segment between is missing", c.at.Seq+1)}, nil
	}
	if !c.begun {
		c.at.Seq = first - 1
	}
	c.at.Segment, c.at.Offset = first, 0
	n, fault := 0, (*Fault)(nil)
	eachParsed(bufio.NewReaderSize(file, 64<<10), func(line *parsed) bool {
		n++
		if line.unread != nil && !errors.Is(line.unread, errPartial) && !errors.Is(line.unread, errLong) {
			err = line.unread
			return false
		}
		if fault = c.record(line); fault != nil {
			fault.File, fault.Line, fault.Seq = name, n, c.at.Seq+1
			c.partial = errors.Is(line.unread, errPartial)
		}
		return fault == nil
	})
	switch {
	case err != nil:
		return nil, err
	case n == 0:
		return &Fault{File: name, Line: 1, Seq: first, Found: "an empty file", Expected: "a segment record"}, nil
	case fault != nil:
		info, err := file.Stat()
		if err != nil {
			return nil, err
		}
		c.tail = info.Size() - c.at.Offset
	}
	return fault, nil
}

// record checks one line against the chain and moves past it.
func (c *chain) record(line *parsed) *Fault {
	r, hash := &line.record, line.hash
	switch {
	case line.unread != nil:
		return &Fault{Found: line.unread.Error(), Expected: "a whole record"}
	case line.bad != nil:
		return &Fault{Found: fmt.Sprintf("no record (%v)", line.bad), Expected: "a whole record"}
	case r.Seq != c.at.Seq+1:
		return &Fault{Found: fmt.Sprintf("record %d", r.Seq), Expected: fmt.Sprintf("record %d", c.at.Seq+1)}
	case c.begun && r.Prev != c.at.Hash:
		return &Fault{Found: "prev " + r.Prev, Expected: "prev " + c.at.Hash + ", the hash of the record before: that one was changed"}
	case r.Seq == 1 && r.Prev != noHash:
		return &Fault{Found: "prev " + r.Prev, Expected: "no record before the first"}
	case (c.at.Offset == 0) != (r.Type == Segment):
		return &Fault{Found: "a record of type " + string(r.Type), Expected: "a segment record at the start of a segment and nowhere else"}
	}
	if r.Seq == c.head.Seq && hash != c.head.Hash {
		return &Fault{Found: "a record with hash " + hash, Expected: "hash " + c.head.Hash + ", which the head names"}
	}
	if c.check != nil {
		if fault := c.check(r); fault != nil {
			return fault
		}
	}
	c.at.Seq, c.at.Hash, c.begun = r.Seq, hash, true
	c.at.Offset += int64(line.length) + 1
	c.lines++
	if c.visit != nil {
		c.visit(r)
	}
	return nil
}

// short is the fault of a journal that ends before its head.
func (c *chain) short(file string) *Fault {
	if c.at.Seq >= c.head.Seq {
		return nil
	}
	return &Fault{File: file, Found: fmt.Sprintf("a journal that ends with record %d", c.at.Seq),
		Expected: fmt.Sprintf("at least record %d, which the head names: the end was removed", c.head.Seq)}
}
