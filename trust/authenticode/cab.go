package authenticode

import (
	"bytes"
	"context"
	"crypto"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"kpm/trust/cms"
)

const formatCAB = "cab"

var cabMagic = []byte("MSCF")

// Offsets in a cabinet's header ([MS-CAB], 2.1), and in the part of it that
// the format leaves to applications: 4 bytes of lengths, and in a signed
// cabinet 20 bytes that say where the signature is. No document defines
// those; osslsigncode (cab.c), relic and jsign agree on them.
const (
	cabReserved1  = 4
	cabSize       = 8
	cabFlags      = 30
	cabHeaderSize = 36

	cabLengths      = 36 // of the parts left to applications: header, each folder, each data block
	cabMark         = 40
	cabSignature    = 44 // offset
	cabSignatureLen = 48
	cabReserved2    = 52
	cabSignedHeader = 60

	cabReservePresent = 4 // flag
)

// cabMarked is what cabLengths and cabMark are in a cabinet that has room for
// a signature: 20 bytes in the header, none elsewhere.
var cabMarked = []byte{20, 0, 0, 0, 0, 0, 0x10, 0}

func startsCAB(head []byte) bool { return bytes.HasPrefix(head, cabMagic) }

// cabinet is a cabinet with room for a signature.
type cabinet struct {
	r         io.ReaderAt
	size      int64
	header    []byte // cabSignedHeader bytes
	signature span   // at the end of the file
}

// readCAB reads a cabinet's header and signature. A cabinet without the mark
// of a signature is not signed; what else may be in the part of the header
// that it leaves to applications is none of ours.
func readCAB(r io.ReaderAt, size int64) (*subject, error) {
	s := &subject{format: formatCAB, dataType: oidCabData}
	c := &cabinet{r: r, size: size, header: make([]byte, min(cabSignedHeader, size))}
	if n, err := r.ReadAt(c.header, 0); n < len(c.header) {
		return nil, short(err)
	}
	switch {
	case len(c.header) < cabHeaderSize:
		s.malformed = malformed("the cabinet is cut off in its header")
		return s, nil
	case binary.LittleEndian.Uint16(c.header[cabFlags:])&cabReservePresent == 0, !bytes.HasPrefix(c.header[cabLengths:], cabMarked):
		return s, nil
	case len(c.header) < cabSignedHeader:
		s.malformed = malformed("the cabinet is cut off in its header")
		return s, nil
	}
	blob, err := c.readSignature()
	switch {
	case errors.Is(err, errMalformed):
		s.malformed = err
	case err != nil:
		return nil, err
	case blob != nil:
		s.signatures, s.digest = [][]byte{blob}, c.digest
	}
	return s, nil
}

// readSignature returns the signature, nil if its place is empty. It ends the
// file, and begins where the cabinet ends for those who extract it. Header
// fields that a signature is not about have the one value that they may have.
func (c *cabinet) readSignature() ([]byte, error) {
	start, length := int64(word(c.header, cabSignature)), int64(word(c.header, cabSignatureLen))
	c.signature = span{start, start + length}
	switch {
	case length == 0 && (start == 0 || start == c.size):
		return nil, nil
	case !zero(c.header[cabReserved1:cabSize]), !zero(c.header[cabReserved2:]):
		return nil, malformed("the cabinet's header has values that it must not have")
	case start != int64(word(c.header, cabSize)), start < cabSignedHeader:
		return nil, malformed("the signature does not follow the cabinet")
	case length == 0 || length > cms.MaxSize:
		return nil, malformed("the cabinet's signature is empty, or larger than %d MiB", cms.MaxSize>>20)
	case c.signature.end > c.size:
		return nil, malformed("the cabinet is cut off in its signature")
	case c.signature.end < c.size:
		return nil, malformed("data follows the signature")
	}
	blob := make([]byte, length)
	if n, err := c.r.ReadAt(blob, start); n < len(blob) {
		return nil, fmt.Errorf("signature: %w", short(err))
	}
	return blob, checkZip(c.r, c.size, func(part span) bool {
		return part.start >= cabSignedHeader && part.end <= start
	})
}

// digest hashes the cabinet from the magic number to the signature, without
// the reserved field behind the magic number and what the header leaves to
// applications, of which 2 bytes that are zero count. So the names of the
// cabinets before and after it in a set are signed, and its place there.
//
// osslsigncode leaves out the place in the set instead and hashes 4 bytes that
// are zero. For the first cabinet of a set, and for one that is in none, that
// is the same; of others it verifies none.
func (c *cabinet) digest(ctx context.Context, hashes []crypto.Hash) (map[crypto.Hash][]byte, error) {
	running := start(hashes)
	running.write(c.header[:cabReserved1])
	running.write(c.header[cabSize:cabHeaderSize])
	running.write(c.header[cabMark : cabMark+2])
	body := io.NewSectionReader(c.r, cabSignedHeader, c.signature.start-cabSignedHeader)
	if err := stream(ctx, body, body.Size(), func(chunk []byte, _ int64) { running.write(chunk) }); err != nil {
		return nil, err
	}
	return running.sums(), nil
}
