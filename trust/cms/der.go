package cms

import (
	"encoding/asn1"
	"errors"
	"fmt"
)

// Identifier octets (X.690, section 8.1.2).
const (
	tagInteger     = 0x02
	tagOctetString = 0x04
	tagNull        = 0x05
	tagOID         = 0x06
	tagSequence    = 0x30
	tagSet         = 0x31
	tagImplicit0   = 0x80
	tagContext0    = 0xa0
	tagContext1    = 0xa1

	constructed       = 0x20
	constructedString = tagOctetString | constructed
)

// maxDepth bounds the nesting of a whole signature. A time-stamped signature
// nested in another needs about 40.
const maxDepth = 64

// maxElements bounds what is taken apart into memory: certificates, signers, and
// all of a signature in BER. A time-stamped signature has about 1,000.
const maxElements = 1 << 16

// errNotDER: definite or minimal lengths are missing, as BER allows.
var errNotDER = errors.New("not DER")

// element is one encoded value.
type element struct {
	id   byte
	body []byte
	full []byte // identifier, length and body
}

// header reads identifier and length octets (X.690, section 8.1). length is -1
// for the indefinite form; minimal says whether DER would write them so. What
// length promises is compared with what is there by the caller.
func header(in []byte) (id byte, length, size int, minimal bool, err error) {
	if len(in) < 2 {
		return 0, 0, 0, false, errors.New("truncated element")
	}
	if in[0]&0x1f == 0x1f {
		return 0, 0, 0, false, errors.New("tag above 30") // nothing in a signature has one
	}
	first := in[1]
	if first < 0x80 {
		return in[0], int(first), 2, true, nil
	}
	if first == 0x80 {
		return in[0], -1, 2, false, nil
	}
	n := int(first & 0x7f)
	if n > 4 || len(in) < 2+n {
		return 0, 0, 0, false, errors.New("length beyond the data")
	}
	var l uint64
	for _, b := range in[2 : 2+n] {
		l = l<<8 | uint64(b)
	}
	if l > uint64(len(in)) {
		return 0, 0, 0, false, errors.New("length beyond the data")
	}
	return in[0], int(l), 2 + n, in[2] != 0 && l >= 0x80, nil
}

// next takes one DER element off in.
func next(in []byte) (element, []byte, error) {
	id, length, size, minimal, err := header(in)
	if err != nil {
		return element{}, nil, err
	}
	if !minimal {
		return element{}, nil, errNotDER
	}
	if length > len(in)-size {
		return element{}, nil, errors.New("length beyond the data")
	}
	end := size + length
	return element{id: id, body: in[size:end:end], full: in[:end:end]}, in[end:], nil
}

// walk checks that all of in is well-formed DER down to the primitives, of
// which with what is around them there are at most *elements.
func walk(in []byte, depth int, elements *int) error {
	if depth > maxDepth {
		return errors.New("nested too deeply")
	}
	for len(in) > 0 {
		if *elements--; *elements < 0 {
			return errors.New("too many elements")
		}
		e, rest, err := next(in)
		if err != nil {
			return err
		}
		if e.id == constructedString {
			return errNotDER
		}
		if e.id&constructed != 0 {
			if err := walk(e.body, depth+1, elements); err != nil {
				return err
			}
		}
		in = rest
	}
	return nil
}

// cursor reads the elements of one constructed value in order. The first error
// sticks, so that a reader checks once, at end.
type cursor struct {
	rest []byte
	err  error
}

// peek reports whether an element with that identifier is next.
func (c *cursor) peek(id byte) bool { return c.err == nil && len(c.rest) > 0 && c.rest[0] == id }

// take returns the next element, which has to have that identifier.
func (c *cursor) take(id byte) element {
	if c.err != nil {
		return element{}
	}
	e, rest, err := next(c.rest)
	if err == nil && e.id != id {
		err = fmt.Errorf("found identifier 0x%02x, not 0x%02x", e.id, id)
	}
	if err != nil {
		c.err = err
		return element{}
	}
	c.rest = rest
	return e
}

// oid returns the next element as an object identifier.
func (c *cursor) oid() asn1.ObjectIdentifier {
	e := c.take(tagOID)
	if c.err != nil {
		return nil
	}
	var oid asn1.ObjectIdentifier
	_, c.err = asn1.Unmarshal(e.full, &oid)
	return oid
}

// version returns the next element as one of RFC 5652's version numbers.
func (c *cursor) version() int {
	e := c.take(tagInteger)
	if c.err == nil && (len(e.body) != 1 || e.body[0] > 5) {
		c.err = errors.New("unknown version")
	}
	if c.err != nil {
		return 0
	}
	return int(e.body[0])
}

// end returns the first error; elements left over are one.
func (c *cursor) end() error {
	if c.err == nil && len(c.rest) > 0 {
		return errors.New("more elements than there may be")
	}
	return c.err
}

// algorithm is an AlgorithmIdentifier.
type algorithm struct {
	oid        asn1.ObjectIdentifier
	parameters []byte // encoded, nil if absent
}

func (c *cursor) algorithm() algorithm {
	e := c.take(tagSequence)
	if c.err != nil {
		return algorithm{}
	}
	in := cursor{rest: e.body}
	a := algorithm{oid: in.oid()}
	if in.err == nil && len(in.rest) > 0 {
		a.parameters = in.take(in.rest[0]).full
	}
	c.err = in.end()
	return a
}

// plain reports whether the parameters are absent or NULL.
func (a algorithm) plain() bool {
	return a.parameters == nil || len(a.parameters) == 2 && a.parameters[0] == tagNull && a.parameters[1] == 0
}

// encode writes an element.
func encode(id byte, parts ...[]byte) []byte {
	length := 0
	for _, p := range parts {
		length += len(p)
	}
	out := appendHeader(make([]byte, 0, length+6), id, length)
	for _, p := range parts {
		out = append(out, p...)
	}
	return out
}

func appendHeader(out []byte, id byte, length int) []byte {
	out = append(out, id)
	if length < 0x80 {
		return append(out, byte(length))
	}
	n := 1
	for v := length >> 8; v > 0; v >>= 8 {
		n++
	}
	out = append(out, 0x80|byte(n))
	for n--; n >= 0; n-- {
		out = append(out, byte(length>>(8*n)))
	}
	return out
}
