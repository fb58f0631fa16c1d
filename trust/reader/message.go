package reader

import (
	"encoding/binary"
	"fmt"
	"io"
)

// Every message is four bytes of length, most significant first, one of kind,
// and a body of that length.
const headSize = 5

// Kinds of message. The service sends a bundle first, which is answered by
// accepted or fault; then questions, each with the file, which are answered by
// verdict or fault.
const (
	kindBundle   = 'B'
	kindQuestion = 'Q'
	kindAccepted = 'A'
	kindVerdict  = 'V'
	kindFault    = 'F' // a sentence
)

// maxMessage bounds what a reader takes, in bytes: a bundle with its paths.
const maxMessage = MaxBundle + 1<<20

// pack puts a message together.
func pack(kind byte, body []byte) []byte {
	message := binary.BigEndian.AppendUint32(make([]byte, 0, headSize+len(body)), uint32(len(body)))
	return append(append(message, kind), body...)
}

// unpackHead reads how long a body is, at most limit bytes, and its kind.
func unpackHead(head [headSize]byte, limit int) (size int, kind byte, err error) {
	length := binary.BigEndian.Uint32(head[:])
	if uint64(length) > uint64(limit) {
		return 0, 0, fmt.Errorf("%w: it claims %d bytes of at most %d", errMalformed, length, limit)
	}
	return int(length), head[4], nil
}

// readStep is how much memory is taken ahead of what has arrived, in bytes.
const readStep = 1 << 20

// readBody reads size bytes. Memory grows with what arrives, not with what was
// claimed.
func readBody(r io.Reader, size int) ([]byte, error) {
	body := make([]byte, 0, min(size, readStep))
	for len(body) < size {
		at := len(body)
		body = append(body, make([]byte, min(size-at, readStep))...)
		if _, err := io.ReadFull(r, body[at:]); err != nil {
			return nil, err
		}
	}
	return body, nil
}
