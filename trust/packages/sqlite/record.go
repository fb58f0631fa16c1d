package sqlite

import (
	"bytes"
	"fmt"
)

// Kind is the type of a Value.
type Kind uint8

// The kinds. Fractions are not read.
const (
	Null Kind = iota
	Integer
	Text
	Blob
)

// Value is one column of a row.
type Value struct {
	Kind  Kind
	Int   int64
	Bytes []byte // of a Text or Blob
}

// record reads a row (section 2.1 of the format).
func record(payload []byte) ([]Value, error) {
	size, used := varint(payload)
	if used == 0 || size < uint64(used) || size > uint64(len(payload)) {
		return nil, fmt.Errorf("%w: a row with a header of %d bytes", ErrMalformed, size)
	}
	types, body := payload[used:size], payload[size:]
	var row []Value
	for len(types) > 0 {
		kind, used := varint(types)
		if used == 0 || len(row) == maxColumns {
			return nil, fmt.Errorf("%w: columns of a row", ErrMalformed)
		}
		types = types[used:]
		v, length, err := column(kind, body)
		if err != nil {
			return nil, err
		}
		row, body = append(row, v), body[length:]
	}
	return row, nil
}

var integerSizes = [...]int{1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8}

func column(kind uint64, body []byte) (v Value, length int, err error) {
	switch {
	case kind == 0:
		return v, 0, nil
	case kind == 8 || kind == 9:
		return Value{Kind: Integer, Int: int64(kind) - 8}, 0, nil
	case kind < 7:
		length = integerSizes[kind]
	case kind >= 12 && (kind-12)/2 <= uint64(len(body)):
		length = int((kind - 12) / 2)
	default:
		return v, 0, fmt.Errorf("%w: a column of type %d", ErrMalformed, kind)
	}
	if length > len(body) {
		return v, 0, fmt.Errorf("%w: a column that is longer than its row", ErrMalformed)
	}
	switch value := body[:length]; {
	case kind >= 12 && kind%2 == 0:
		return Value{Kind: Blob, Bytes: value}, length, nil
	case kind >= 12:
		return Value{Kind: Text, Bytes: value}, length, nil
	default:
		v = Value{Kind: Integer, Int: int64(int8(value[0]))}
		for _, b := range value[1:] {
			v.Int = v.Int<<8 | int64(b)
		}
		return v, length, nil
	}
}

// Table is a table with a row id.
type Table struct {
	f    *File
	root uint32
}

// Index is an index over a column of text.
type Index struct {
	f    *File
	root uint32
}

// Table finds a table by its name.
func (f *File) Table(name string) (*Table, error) {
	root, err := f.schema("table", name)
	return &Table{f, root}, err
}

// Index finds an index by its name.
func (f *File) Index(name string) (*Index, error) {
	root, err := f.schema("index", name)
	return &Index{f, root}, err
}

// schema looks into the table sqlite_schema, which begins at page 1 (section
// 2.6): type, name, table, root page, statement.
func (f *File) schema(kind, name string) (root uint32, err error) {
	err = f.rows(1, 0, func(payload []byte) error {
		row, err := record(payload)
		if err != nil {
			return err
		}
		if len(row) >= 4 && string(row[0].Bytes) == kind && bytes.EqualFold(row[1].Bytes, []byte(name)) &&
			row[3].Kind == Integer && row[3].Int > 0 && row[3].Int < 1<<31 {
			root = uint32(row[3].Int)
		}
		return nil
	})
	if err == nil && root == 0 {
		err = fmt.Errorf("%w: no %s %s", ErrMalformed, kind, name)
	}
	return root, err
}

// Row returns the row with this id, or nil. In the column that is the row id
// itself SQLite stores NULL.
func (t *Table) Row(id int64) ([]Value, error) {
	payload, ok, err := t.f.row(t.root, id)
	if err != nil || !ok {
		return nil, err
	}
	return record(payload)
}

// Find returns the ids of the rows, at most limit, whose column is the text key.
func (x *Index) Find(key string, limit int) ([]int64, error) {
	var ids []int64
	err := x.f.find(x.root, 0, []byte(key), func(entry []Value) error {
		id := entry[len(entry)-1]
		if id.Kind != Integer || len(entry) < 2 {
			return fmt.Errorf("%w: an index entry without a row id", ErrMalformed)
		}
		if len(ids) == limit {
			return fmt.Errorf("%w: more than %d rows with %.100q", ErrMalformed, limit, key)
		}
		ids = append(ids, id.Int)
		return nil
	})
	return ids, err
}
