package packet

import (
	"bytes"
	"encoding/binary"
	"io"
	"unicode/utf8"
)

// Header is a fixed header.
type Header struct {
	Type   Type
	Flags  byte // the lower four bits
	Length int  // of what follows, in bytes
}

// QoS of a PUBLISH.
func (h Header) QoS() byte { return h.Flags >> 1 & 3 }

// Retain flag of a PUBLISH.
func (h Header) Retain() bool { return h.Flags&1 != 0 }

// Dup flag of a PUBLISH.
func (h Header) Dup() bool { return h.Flags&8 != 0 }

// flagsOf are the flags that a type must have; a PUBLISH chooses its own.
func flagsOf(t Type) byte {
	switch t {
	case Pubrel, Subscribe, Unsubscribe:
		return 2
	}
	return 0
}

// maxLength is the largest that a fixed header can say (section 1.5.5).
const maxLength = 1<<28 - 1

// ReadHeader reads a fixed header and holds it against the specification. The
// error is a *Fault or one of r's.
func ReadHeader(r io.ByteReader) (Header, error) {
	first, err := r.ReadByte()
	if err != nil {
		return Header{}, err
	}
	h := Header{Type: Type(first >> 4), Flags: first & 0x0f}
	for shift := 0; ; shift += 7 {
		digit, err := r.ReadByte()
		if err != nil {
			return h, err
		}
		if shift == 21 && digit&0x80 != 0 {
			return h, malformed("the length is longer than four bytes")
		}
		h.Length |= int(digit&0x7f) << shift
		if digit&0x80 == 0 {
			break
		}
	}
	switch {
	case h.Type == 0:
		return h, malformed("packet type 0 is reserved")
	case h.Type != Publish && h.Flags != flagsOf(h.Type):
		return h, malformed("packet type %d has flags %#x", h.Type, h.Flags)
	case h.Type == Publish && h.QoS() == 3:
		return h, malformed("a PUBLISH has QoS 3")
	case h.Type == Publish && h.QoS() == 0 && h.Dup():
		return h, malformed("a PUBLISH of QoS 0 has the DUP flag")
	}
	return h, nil
}

// reader takes a packet's body apart. After the first error everything that it
// returns is zero.
type reader struct {
	b   []byte
	err error
}

func (r *reader) fail(err error) {
	if r.err == nil {
		r.b, r.err = nil, err
	}
}

func (r *reader) take(n int) []byte {
	if n > len(r.b) {
		r.fail(malformed("the packet ends early"))
		return nil
	}
	out := r.b[:n:n]
	r.b = r.b[n:]
	return out
}

func (r *reader) u8() byte {
	if b := r.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *reader) u16() uint16 {
	if b := r.take(2); b != nil {
		return binary.BigEndian.Uint16(b)
	}
	return 0
}

func (r *reader) u32() uint32 {
	if b := r.take(4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

// varint is a variable byte integer (section 1.5.5).
func (r *reader) varint() int {
	n := 0
	for shift := 0; r.err == nil; shift += 7 {
		digit := r.u8()
		n |= int(digit&0x7f) << shift
		if digit&0x80 == 0 {
			return n
		}
		if shift == 21 {
			r.fail(malformed("a variable byte integer is longer than four bytes"))
		}
	}
	return 0
}

func (r *reader) bytes() []byte { return r.take(int(r.u16())) }

// text is a UTF-8 string (section 1.5.4).
func (r *reader) text() string {
	b := r.bytes()
	if !utf8.Valid(b) || bytes.IndexByte(b, 0) >= 0 {
		r.fail(malformed("a string is not UTF-8, or holds U+0000"))
		return ""
	}
	return string(b)
}

// id is a packet identifier, which is never 0 [MQTT-2.2.1-3].
func (r *reader) id() uint16 {
	id := r.u16()
	if r.err == nil && id == 0 {
		r.fail(protocolError("the packet identifier is 0"))
	}
	return id
}

// end reports what was wrong, bytes that are left over included.
func (r *reader) end() error {
	if r.err == nil && len(r.b) > 0 {
		return malformed("%d bytes follow the end of the packet", len(r.b))
	}
	return r.err
}
