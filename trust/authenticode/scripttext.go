package authenticode

import (
	"bytes"
	"encoding/binary"
	"unicode/utf8"
)

// encoding is how a script's characters are written.
type encoding uint8

const (
	narrow encoding = iota // 8 bits, or UTF-8
	wideLE                 // UTF-16, little-endian
	wideBE                 // UTF-16, big-endian
)

var (
	bomUTF8   = []byte{0xef, 0xbb, 0xbf}
	bomWideLE = []byte{0xff, 0xfe}
	bomWideBE = []byte{0xfe, 0xff}
)

// text is a script as it lies in the file.
type text struct {
	encoding
	bom  []byte
	body []byte // behind the byte order mark
}

func newText(b []byte) text {
	t := text{body: b}
	switch {
	case bytes.HasPrefix(b, bomUTF8):
		t.bom = bomUTF8
	case bytes.HasPrefix(b, bomWideLE):
		t.encoding, t.bom = wideLE, bomWideLE
	case bytes.HasPrefix(b, bomWideBE):
		t.encoding, t.bom = wideBE, bomWideBE
	}
	t.body = b[len(t.bom):]
	return t
}

// binary reports whether a file that begins with head is no text in an
// encoding without zero bytes.
func binaryFile(head []byte) bool {
	return newText(head).encoding == narrow && bytes.IndexByte(head, 0) >= 0
}

// unit is the size of a character's smallest part.
func (e encoding) unit() int {
	if e == narrow {
		return 1
	}
	return 2
}

// encode writes ASCII.
func (e encoding) encode(s string) []byte {
	switch e {
	case wideLE:
		return utf16le(s)
	case wideBE:
		return append([]byte{0}, bytes.TrimSuffix(utf16le(s), []byte{0})...)
	}
	return []byte(s)
}

// decode reads ASCII, and reports whether it is.
func (e encoding) decode(b []byte) (string, bool) {
	s := make([]byte, 0, len(b)/e.unit())
	for len(b) >= e.unit() {
		c := uint16(b[0])
		switch e {
		case wideLE:
			c = binary.LittleEndian.Uint16(b)
		case wideBE:
			c = binary.BigEndian.Uint16(b)
		}
		if c > 0x7f {
			return "", false
		}
		s, b = append(s, byte(c)), b[e.unit():]
	}
	return string(s), len(b) == 0
}

// index finds sep, which is encoded, in b from offset from on, where a
// character begins. It is -1 if there is none.
func (e encoding) index(b, sep []byte, from int) int {
	for from < len(b) {
		i := bytes.Index(b[from:], sep)
		if i < 0 {
			return -1
		}
		if i%e.unit() == 0 {
			return from + i
		}
		from += i + 1
		from += from % e.unit()
	}
	return -1
}

// utf16 hands over b in UTF-16LE, in pieces. 8-bit text is UTF-8 or, if legacy,
// Windows-1252.
func (e encoding) utf16(b []byte, legacy bool, write func([]byte)) {
	if e != narrow {
		write(b)
		return
	}
	buffer := make([]byte, 0, min(readSize, 2*len(b)+4))
	for len(b) > 0 {
		if cap(buffer)-len(buffer) < 4 {
			write(buffer)
			buffer = buffer[:0]
		}
		switch {
		case b[0] < utf8.RuneSelf:
			buffer, b = append(buffer, b[0], 0), b[1:]
		case legacy:
			buffer, b = binary.LittleEndian.AppendUint16(buffer, windows1252(b[0])), b[1:]
		default:
			r, n := utf8.DecodeRune(b)
			b = b[n:]
			if r >= 0x10000 {
				r -= 0x10000
				buffer = binary.LittleEndian.AppendUint16(buffer, uint16(0xd800+r>>10))
				r = 0xdc00 + r&0x3ff
			}
			buffer = binary.LittleEndian.AppendUint16(buffer, uint16(r))
		}
	}
	write(buffer)
}

// windows1252High are the characters 0x80 to 0x9f of Windows-1252. The five
// that it does not define stand for themselves, as Windows reads them, so no
// two bytes are the same character.
var windows1252High = [32]uint16{
	0x20ac, 0x81, 0x201a, 0x0192, 0x201e, 0x2026, 0x2020, 0x2021, 0x02c6, 0x2030, 0x0160, 0x2039, 0x0152, 0x8d, 0x017d, 0x8f,
	0x90, 0x2018, 0x2019, 0x201c, 0x201d, 0x2022, 0x2013, 0x2014, 0x02dc, 0x2122, 0x0161, 0x203a, 0x0153, 0x9d, 0x017e, 0x0178,
}

func windows1252(b byte) uint16 {
	if b >= 0x80 && b < 0xa0 {
		return windows1252High[b-0x80]
	}
	return uint16(b)
}
