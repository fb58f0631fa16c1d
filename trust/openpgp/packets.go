package openpgp

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/ProtonMail/go-crypto/openpgp/packet"
)

// Packet types (RFC 9580, section 5).
const (
	tagSignature    = 2
	tagSecretKey    = 5
	tagPublicKey    = 6
	tagSecretSubkey = 7
	tagMarker       = 10
	tagTrust        = 12
	tagUserID       = 13
	tagPublicSubkey = 14
	tagUserAttr     = 17
	tagPadding      = 21
	tagPrivate      = 60 // and up, to 63
)

// rawPacket is a packet that nobody has looked into.
type rawPacket struct {
	tag  int
	body []byte
}

// nextPacket takes the first packet off data (RFC 9580, section 4.2). Partial
// and indeterminate lengths are refused: keys and signatures do not have them,
// and two readers may disagree about where such a packet ends.
func nextPacket(data []byte) (p rawPacket, rest []byte, err error) {
	if len(data) < 2 || data[0]&0x80 == 0 {
		return p, nil, fmt.Errorf("%w: no packet where one should begin", ErrMalformed)
	}
	var length uint64
	head := data[0]
	if head&0x40 == 0 {
		p.tag = int(head>>2) & 0x0f
		size := 1 << (head & 3)
		if size == 8 || len(data) < 1+size {
			return p, nil, fmt.Errorf("%w: a packet without a length", ErrMalformed)
		}
		for _, b := range data[1 : 1+size] {
			length = length<<8 | uint64(b)
		}
		rest = data[1+size:]
	} else {
		p.tag = int(head & 0x3f)
		var used int
		if length, used = bodyLength(data[1:]); used == 0 || data[1] >= 224 && data[1] < 255 {
			return p, nil, fmt.Errorf("%w: a packet without a length", ErrMalformed)
		}
		rest = data[1+used:]
	}
	if length > uint64(len(rest)) {
		return p, nil, fmt.Errorf("%w: a packet of %d bytes, where %d are left", ErrMalformed, length, len(rest))
	}
	p.body = rest[:length]
	return p, rest[length:], nil
}

// bodyLength reads a length of one, two or five octets (RFC 9580, sections
// 4.2.1 and 5.2.3.7). used is 0 if data ends before it does.
func bodyLength(data []byte) (length uint64, used int) {
	switch {
	case len(data) >= 1 && data[0] < 192:
		return uint64(data[0]), 1
	case len(data) >= 2 && data[0] < 255:
		return uint64(data[0]-192)<<8 + uint64(data[1]) + 192, 2
	case len(data) >= 5 && data[0] == 255:
		return uint64(binary.BigEndian.Uint32(data[1:])), 5
	}
	return 0, 0
}

// parse lets the library read the body of p, all of it. The library is asked to
// read nothing else, whatever the body says, and a panic of it is an error.
func (p rawPacket) parse() (parsed packet.Packet, err error) {
	defer func() {
		if fault := recover(); fault != nil {
			parsed, err = nil, fmt.Errorf("%w: packet %d: %v", ErrMalformed, p.tag, fault)
		}
	}()
	framed := append(make([]byte, 0, 6+len(p.body)), 0xc0|byte(p.tag), 255)
	framed = binary.BigEndian.AppendUint32(framed, uint32(len(p.body)))
	reader := bytes.NewReader(append(framed, p.body...))
	parsed, err = packet.Read(reader)
	if err != nil {
		return nil, err
	}
	if reader.Len() > 0 {
		return nil, fmt.Errorf("%w: %d more bytes at the end of a packet", ErrMalformed, reader.Len())
	}
	return parsed, nil
}
