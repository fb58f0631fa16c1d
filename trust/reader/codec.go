package reader

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"kpm/core/wire"
)

// errMalformed is wrapped when a message is not what its kind says.
var errMalformed = errors.New("the message is malformed")

// encoder appends values to a message: numbers as varints, everything else
// behind its length.
type encoder struct{ b []byte }

func (e *encoder) number(n uint64)  { e.b = binary.AppendUvarint(e.b, n) }
func (e *encoder) signed(n int64)   { e.b = binary.AppendVarint(e.b, n) }
func (e *encoder) bytes(p []byte)   { e.number(uint64(len(p))); e.b = append(e.b, p...) }
func (e *encoder) text(s string)    { e.number(uint64(len(s))); e.b = append(e.b, s...) }
func (e *encoder) time(t time.Time) { e.signed(t.Unix()); e.number(uint64(t.Nanosecond())) }

// decoder takes values from a message. After the first that is not there, or is
// more than it may be, every value is empty and err says why.
type decoder struct {
	b   []byte
	err error
}

func (d *decoder) fail(format string, args ...any) {
	if d.err == nil {
		d.err = fmt.Errorf("%w: %s", errMalformed, fmt.Sprintf(format, args...))
		d.b = nil
	}
}

// number is one of at most limit.
func (d *decoder) number(limit uint64) uint64 {
	n, size := binary.Uvarint(d.b)
	if size <= 0 || n > limit {
		d.fail("a number is missing or above %d", limit)
		return 0
	}
	d.b = d.b[size:]
	return n
}

func (d *decoder) signed() int64 {
	n, size := binary.Varint(d.b)
	if size <= 0 {
		d.fail("a number is missing")
		return 0
	}
	d.b = d.b[size:]
	return n
}

// bytes are at most limit. They stay part of the message.
func (d *decoder) bytes(limit int) []byte {
	n := int(d.number(uint64(limit)))
	if n > len(d.b) {
		d.fail("%d bytes of %d are there", len(d.b), n)
		return nil
	}
	p := d.b[:n:n]
	d.b = d.b[n:]
	return p
}

// text is UTF-8 of at most limit bytes.
func (d *decoder) text(limit int) string {
	p := d.bytes(limit)
	if !utf8.Valid(p) {
		d.fail("a text is not UTF-8")
		return ""
	}
	return string(p)
}

// printable is text that cannot rewrite the line that it is shown on.
func (d *decoder) printable(limit int) string {
	s := d.text(limit)
	if s != wire.Printable(s) {
		d.fail("a text cannot be printed")
		return ""
	}
	return s
}

// Seconds since 1970 of the years 0 and 10000, between which dates have a form
// that people and JSON know; the zero time is in the year 1.
const (
	firstSecond = -62167219200
	lastSecond  = 253402300800
)

func (d *decoder) time() time.Time {
	seconds, nanoseconds := d.signed(), d.number(999_999_999)
	if seconds < firstSecond || seconds >= lastSecond {
		d.fail("a time is beyond all dates")
		return time.Time{}
	}
	return time.Unix(seconds, int64(nanoseconds)).UTC()
}

// count is how many entries of at least one byte follow, at most limit.
func (d *decoder) count(limit int) int {
	n := int(d.number(uint64(limit)))
	if n > len(d.b) {
		d.fail("%d entries in %d bytes", n, len(d.b))
		return 0
	}
	return n
}

// end reports what was wrong, and that nothing is left over.
func (d *decoder) end() error {
	if d.err == nil && len(d.b) > 0 {
		d.fail("%d bytes are left over", len(d.b))
	}
	return d.err
}
