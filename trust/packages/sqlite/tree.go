package sqlite

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
)

// Kinds of b-tree pages (section 1.6 of the format).
const (
	interiorIndex = 2
	interiorTable = 5
	leafIndex     = 10
	leafTable     = 13
)

// node is a b-tree page.
type node struct {
	kind  byte
	data  []byte
	cells []byte // two bytes each: where a cell begins
	right uint32 // the last child of an interior page
}

func (f *File) node(number uint32, depth int, kinds ...byte) (node, error) {
	if depth > maxDepth {
		return node{}, fmt.Errorf("%w: a tree of more than %d levels", ErrMalformed, maxDepth)
	}
	page, err := f.page(number)
	if err != nil {
		return node{}, err
	}
	n := node{data: page[:f.usable]}
	head := n.data
	if number == 1 {
		head = head[100:]
	}
	n.kind = head[0]
	if !slices.Contains(kinds, n.kind) {
		return node{}, fmt.Errorf("%w: page %d is of kind %d, expected one of %v", ErrMalformed, number, n.kind, kinds)
	}
	length := 8
	if n.kind == interiorIndex || n.kind == interiorTable {
		length, n.right = 12, binary.BigEndian.Uint32(head[8:])
	}
	count := int(binary.BigEndian.Uint16(head[3:]))
	if count*2 > len(head)-length {
		return node{}, fmt.Errorf("%w: page %d has no room for %d cells", ErrMalformed, number, count)
	}
	n.cells = head[length : length+2*count]
	return n, nil
}

func (n node) len() int { return len(n.cells) / 2 }

// cell returns what is left of the page from cell i on.
func (n node) cell(i int) ([]byte, error) {
	at := int(binary.BigEndian.Uint16(n.cells[2*i:]))
	if at >= len(n.data)-4 {
		return nil, fmt.Errorf("%w: a cell at byte %d of a page", ErrMalformed, at)
	}
	return n.data[at:], nil
}

// varint reads a variable-length integer (section 1.6). used is 0 if data ends
// before it does.
func varint(data []byte) (value uint64, used int) {
	for i, b := range data {
		if i == 8 {
			return value<<8 | uint64(b), 9
		}
		value = value<<7 | uint64(b&0x7f)
		if b < 0x80 {
			return value, i + 1
		}
	}
	return 0, 0
}

// payload assembles a payload of length bytes of which cell has the first ones
// (sections 1.6 and 1.7).
func (f *File) payload(kind byte, length uint64, cell []byte) ([]byte, error) {
	if length > maxPayload || int64(length) > int64(f.pages)*int64(f.usable) {
		return nil, fmt.Errorf("%w: a row of %d bytes", ErrMalformed, length)
	}
	most := (f.usable-12)*64/255 - 23
	if kind == leafTable {
		most = f.usable - 35
	}
	here := int(length)
	if here > most {
		least := (f.usable-12)*32/255 - 23
		if here = least + (int(length)-least)%(f.usable-4); here > most {
			here = least
		}
	}
	if here == int(length) {
		if here > len(cell) {
			return nil, fmt.Errorf("%w: a row that is longer than its page", ErrMalformed)
		}
		return cell[:here], nil
	}
	if here+4 > len(cell) {
		return nil, fmt.Errorf("%w: a row that is longer than its page", ErrMalformed)
	}
	whole := append(make([]byte, 0, length), cell[:here]...)
	for next := binary.BigEndian.Uint32(cell[here:]); len(whole) < int(length); {
		page, err := f.page(next)
		if err != nil {
			return nil, err
		}
		next = binary.BigEndian.Uint32(page)
		whole = append(whole, page[4:4+min(f.usable-4, int(length)-len(whole))]...)
	}
	return whole, nil
}

// row finds a row of the table whose tree begins at page root.
func (f *File) row(root uint32, id int64) ([]byte, bool, error) {
	for depth := 0; ; depth++ {
		n, err := f.node(root, depth, interiorTable, leafTable)
		if err != nil {
			return nil, false, err
		}
		root = n.right
		for i := range n.len() {
			cell, err := n.cell(i)
			if err != nil {
				return nil, false, err
			}
			if n.kind == interiorTable {
				if key, used := varint(cell[4:]); used > 0 && id <= int64(key) {
					root = binary.BigEndian.Uint32(cell)
					break
				}
				continue
			}
			length, used := varint(cell)
			key, more := varint(cell[used:])
			if used == 0 || more == 0 {
				return nil, false, fmt.Errorf("%w: a cell without a row id", ErrMalformed)
			}
			if int64(key) == id {
				found, err := f.payload(leafTable, length, cell[used+more:])
				return found, err == nil, err
			}
		}
		if n.kind == leafTable {
			return nil, false, nil
		}
	}
}

// rows calls visit for every row of the table at page root.
func (f *File) rows(root uint32, depth int, visit func(payload []byte) error) error {
	n, err := f.node(root, depth, interiorTable, leafTable)
	if err != nil {
		return err
	}
	for i := range n.len() {
		cell, err := n.cell(i)
		if err != nil {
			return err
		}
		if n.kind == interiorTable {
			if err := f.rows(binary.BigEndian.Uint32(cell), depth+1, visit); err != nil {
				return err
			}
			continue
		}
		length, used := varint(cell)
		_, more := varint(cell[used:])
		if used == 0 || more == 0 {
			return fmt.Errorf("%w: a cell without a row id", ErrMalformed)
		}
		payload, err := f.payload(leafTable, length, cell[used+more:])
		if err != nil {
			return err
		}
		if err := visit(payload); err != nil {
			return err
		}
	}
	if n.kind == interiorTable {
		return f.rows(n.right, depth+1, visit)
	}
	return nil
}

// find calls visit with every entry of the index at page root whose first
// column is the text key. Interior pages have entries of their own.
func (f *File) find(root uint32, depth int, key []byte, visit func(entry []Value) error) error {
	n, err := f.node(root, depth, interiorIndex, leafIndex)
	if err != nil {
		return err
	}
	for i := range n.len() {
		cell, err := n.cell(i)
		if err != nil {
			return err
		}
		var child uint32
		if n.kind == interiorIndex {
			child, cell = binary.BigEndian.Uint32(cell), cell[4:]
		}
		length, used := varint(cell)
		if used == 0 {
			return fmt.Errorf("%w: a cell without a length", ErrMalformed)
		}
		payload, err := f.payload(n.kind, length, cell[used:])
		if err != nil {
			return err
		}
		entry, err := record(payload)
		if err != nil {
			return err
		}
		order := compare(entry, key)
		if order >= 0 && n.kind == interiorIndex {
			if err := f.find(child, depth+1, key, visit); err != nil {
				return err
			}
		}
		if order == 0 {
			if err := visit(entry); err != nil {
				return err
			}
		}
		if order > 0 {
			return nil
		}
	}
	if n.kind == interiorIndex {
		return f.find(n.right, depth+1, key, visit)
	}
	return nil
}

// compare orders an entry and a text as the collation BINARY does: NULL and
// numbers before text, text before blobs.
func compare(entry []Value, key []byte) int {
	if len(entry) == 0 {
		return -1
	}
	switch v := entry[0]; v.Kind {
	case Text:
		return bytes.Compare(v.Bytes, key)
	case Blob:
		return 1
	}
	return -1
}
