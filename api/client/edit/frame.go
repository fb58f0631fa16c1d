// Package edit is keeperedit, which does the work of "keepersudo -e": a person edits
// a copy of one file with an editor of their own, as themself, and what they made of
// it is written back by a command that can do nothing else.
//
// That command (Serve) is what policy decides on and the service launches. It reads
// one file, writes the same file once, and starts nothing: no editor runs as its
// user. The rest (Edit) has no rights that its caller lacks.
package edit

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// MaxFile is the most that a file may have, before and after, in bytes.
const MaxFile = 64 << 20

// kind is what a frame is. Both halves are one executable, so there is no version.
type kind byte

const (
	contents kind = 'F' // Serve: what is in the file
	replace  kind = 'N' // Edit: what is to be in it
	done     kind = 'D' // Serve: it is
	failed   kind = 'E' // Serve: it is not, and why
)

// headSize is that of a frame's kind and length.
const headSize = 9

var errFrame = errors.New("not what keeperedit says")

// send writes one frame.
func send(w io.Writer, k kind, payload []byte) error {
	head := append([]byte{byte(k)}, make([]byte, 8)...)
	binary.BigEndian.PutUint64(head[1:], uint64(len(payload)))
	if _, err := w.Write(head); err != nil {
		return err
	}
	_, err := w.Write(payload)
	return err
}

// receive reads one frame. Before the first byte of one, the end is io.EOF.
func receive(r io.Reader) (kind, []byte, error) {
	var head [headSize]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return 0, nil, err
	}
	size := binary.BigEndian.Uint64(head[1:])
	if size > MaxFile {
		return 0, nil, fmt.Errorf("%w: %d bytes, expected at most %d", errFrame, size, MaxFile)
	}
	// A length is only said: what is really sent is what takes memory.
	payload, err := io.ReadAll(io.LimitReader(r, int64(size)))
	if err != nil {
		return 0, nil, err
	}
	if uint64(len(payload)) != size {
		return 0, nil, io.ErrUnexpectedEOF
	}
	return kind(head[0]), payload, nil
}
