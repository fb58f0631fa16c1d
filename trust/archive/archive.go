// Package archive finds ZIP archives in files that seem to be something else.
// It reads no archive: it says where one would be found, and leaves to each
// format what of that its signatures cover.
package archive

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
)

// A ZIP archive's end record (APPNOTE.TXT, 4.3.16). What reads archives looks
// for it from a file's end backwards, over a comment of up to 64 KiB, and
// takes what lies before it for the archive: an archive may have anything in
// front of it.
const (
	EndSize  = 22 // of the record without its comment
	lengthAt = 12 // of the central directory, which ends where the record begins
	offsetAt = 16 // of the central directory from the archive's beginning
	// Searched is how much of a file's end is read, in bytes.
	Searched = EndSize + math.MaxUint16
)

var endMark = []byte("PK\x05\x06")

// maxEnds bounds the end records of a file that are looked at.
const maxEnds = 16

// Hidden reports whether the file of size bytes behind r is a ZIP archive as
// well, unless signed knows the whole of it, from start to end, to lie in one
// piece in signed bytes. Java runs the JAR that it finds at the end of a file
// of any name, and the file's signature seems to be the JAR's (CVE-2020-1464).
// An error means that the bytes could not be read.
func Hidden(r io.ReaderAt, size int64, signed func(start, end int64) bool) (bool, error) {
	from := max(0, size-Searched)
	tail := make([]byte, size-from)
	if n, err := r.ReadAt(tail, from); n < len(tail) {
		if err == nil || errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return false, fmt.Errorf("archive: %w", err)
	}
	for seen := 0; ; seen++ {
		next := bytes.Index(tail, endMark)
		if next < 0 || len(tail)-next < EndSize {
			return false, nil
		}
		record := from + int64(next)
		length := binary.LittleEndian.Uint32(tail[next+lengthAt:])
		offset := binary.LittleEndian.Uint32(tail[next+offsetAt:])
		start := record - int64(length) - int64(offset)
		// One that began before the file is none, unless it says so because its
		// real record is one for large archives.
		large := length == math.MaxUint32 || offset == math.MaxUint32
		if seen == maxEnds || large || start >= 0 && !signed(start, record+EndSize) {
			return true, nil
		}
		from, tail = record+1, tail[next+1:]
	}
}
