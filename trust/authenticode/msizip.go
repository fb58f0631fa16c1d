package authenticode

import (
	"bytes"
	"fmt"
	"io"
	"math"
)

// A ZIP archive's end record (APPNOTE.TXT, 4.3.16). What reads archives looks
// for it from a file's end backwards, over a comment of up to 64 KiB, and
// takes what lies before it for the archive: an archive may have anything in
// front of it.
const (
	zipEndSize  = 22
	zipLengthAt = 12 // of the central directory, which ends where the record begins
	zipOffsetAt = 16 // of the central directory from the archive's beginning
	zipSearch   = zipEndSize + math.MaxUint16
)

var zipEnd = []byte("PK\x05\x06")

// maxZipEnds bounds the end records of a file that are looked at.
const maxZipEnds = 16

// checkZip refuses a file that is a ZIP archive as well, unless signed knows
// the whole archive to lie in one piece in signed bytes. Java runs the JAR
// that it finds at the end of a file of any name, and the file's signature
// seems to be the JAR's (CVE-2020-1464).
func checkZip(r io.ReaderAt, size int64, signed func(span) bool) error {
	from := max(0, size-zipSearch)
	tail := make([]byte, size-from)
	if n, err := r.ReadAt(tail, from); n < len(tail) {
		return fmt.Errorf("end of the file: %w", short(err))
	}
	for seen := 0; ; seen++ {
		next := bytes.Index(tail, zipEnd)
		if next < 0 || len(tail)-next < zipEndSize {
			return nil
		}
		record, length, offset := from+int64(next), word(tail[next:], zipLengthAt), word(tail[next:], zipOffsetAt)
		archive := span{record - int64(length) - int64(offset), record + zipEndSize}
		// One that began before the file is none, unless it says so because its
		// real record is one for large archives.
		large := length == math.MaxUint32 || offset == math.MaxUint32
		if seen == maxZipEnds || large || archive.start >= 0 && !signed(archive) {
			return malformed("a ZIP archive that nobody signed is hidden in the file")
		}
		from, tail = record+1, tail[next+1:]
	}
}
