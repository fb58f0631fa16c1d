package sqlite

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// ErrMalformed is wrapped when a file is not what the format says, or uses what
// this package does not read.
var ErrMalformed = errors.New("not a database that can be read")

// Bounds, so that no file makes a reader work or remember without end.
const (
	maxPayload = 32 << 20 // bytes of one row
	maxVisits  = 50_000   // pages of a File, counted each time
	maxCached  = 1024     // pages that a File remembers
	maxDepth   = 20       // levels of a tree: SQLite's own BTCURSOR_MAX_DEPTH
	maxColumns = 64
)

// File is a database as it is at one moment. It is meant for a few lookups and
// then to be thrown away, and is not safe for concurrent use.
type File struct {
	db       io.ReaderAt
	wal      io.ReaderAt
	frames   map[uint32]int64 // page: where the write-ahead log has it
	pageSize int
	usable   int // bytes of a page without those reserved at its end
	pages    uint32
	cache    map[uint32][]byte
	visits   int
}

// Open reads the header of a database of size bytes, and its write-ahead log of
// walSize bytes, which is nil if there is none. The error wraps ErrMalformed, or
// is what the readers say.
func Open(db io.ReaderAt, size int64, wal io.ReaderAt, walSize int64) (*File, error) {
	f := &File{db: db, cache: map[uint32][]byte{}}
	head := make([]byte, 100)
	if _, err := db.ReadAt(head, 0); err != nil {
		return nil, f.readError(err)
	}
	if err := f.header(head); err != nil {
		return nil, err
	}
	f.pages = uint32(min(size/int64(f.pageSize), 1<<31))
	if wal != nil && walSize > 0 {
		if err := f.log(wal, walSize); err != nil {
			return nil, err
		}
		first, err := f.page(1) // the log may have a newer header
		if err != nil {
			return nil, err
		}
		return f, f.header(first)
	}
	return f, nil
}

// header reads section 1.3 of the format.
func (f *File) header(head []byte) error {
	if !bytes.HasPrefix(head, []byte("SQLite format 3\x00")) {
		return fmt.Errorf("%w: no SQLite header", ErrMalformed)
	}
	size := int(binary.BigEndian.Uint16(head[16:]))
	if size == 1 {
		size = 65536
	}
	if size < 512 || size&(size-1) != 0 || f.pageSize != 0 && size != f.pageSize {
		return fmt.Errorf("%w: pages of %d bytes", ErrMalformed, size)
	}
	f.pageSize, f.usable = size, size-int(head[20])
	switch {
	case head[19] > 2:
		return fmt.Errorf("%w: read version %d", ErrMalformed, head[19])
	case f.usable < 480, head[21] != 64, head[22] != 32, head[23] != 32:
		return fmt.Errorf("%w: payload fractions", ErrMalformed)
	case binary.BigEndian.Uint32(head[56:]) > 1:
		return fmt.Errorf("%w: text that is not UTF-8", ErrMalformed)
	}
	return nil
}

func (f *File) readError(err error) error {
	if errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: it ends too early", ErrMalformed)
	}
	return err
}

// page returns a page that the caller does not change. Pages are counted from 1.
func (f *File) page(number uint32) ([]byte, error) {
	if f.visits++; f.visits > maxVisits {
		return nil, fmt.Errorf("%w: more than %d pages for one question", ErrMalformed, maxVisits)
	}
	if number == 0 || number > f.pages {
		return nil, fmt.Errorf("%w: page %d of %d", ErrMalformed, number, f.pages)
	}
	if page, ok := f.cache[number]; ok {
		return page, nil
	}
	page := make([]byte, f.pageSize)
	from, at := f.db, int64(number-1)*int64(f.pageSize)
	if offset, ok := f.frames[number]; ok {
		from, at = f.wal, offset
	}
	if n, err := from.ReadAt(page, at); n < len(page) {
		return nil, f.readError(err)
	}
	if len(f.cache) < maxCached {
		f.cache[number] = page
	}
	return page, nil
}
