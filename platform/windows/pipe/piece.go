package pipe

import (
	"encoding/binary"
	"errors"
	"io"
)

// Door connections carry handles beside bytes. A pipe knows nothing of that, so
// what travels is pieces: how many bytes, how many handles, the handles, the
// bytes, in little-endian order. Handles are numbers of the caller's handle
// table, whoever sends.
const (
	headSize = 8
	// MaxHandles is how many handles one piece carries.
	MaxHandles = 8
	// MaxPiece is how many bytes one piece has at most: a frame (package door)
	// with its head.
	MaxPiece = 256 << 10
)

// ErrPiece is wrapped for what no program of ours sends.
var ErrPiece = errors.New("pipe: malformed piece")

// Piece is the beginning of a piece; Size bytes follow.
type Piece struct {
	Size    int
	Handles []uint64
}

// AppendPiece adds a piece to dst.
func AppendPiece(dst, p []byte, handles ...uint64) []byte {
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(p)))
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(handles)))
	for _, handle := range handles {
		dst = binary.LittleEndian.AppendUint64(dst, handle)
	}
	return append(dst, p...)
}

// ReadPiece reads the beginning of a piece. io.EOF means that there is none.
func ReadPiece(r io.Reader) (Piece, error) {
	var head [headSize]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return Piece{}, err
	}
	size, n := binary.LittleEndian.Uint32(head[:]), binary.LittleEndian.Uint32(head[4:])
	if size == 0 || size > MaxPiece || n > MaxHandles {
		return Piece{}, ErrPiece
	}
	var handles [8 * MaxHandles]byte
	if _, err := io.ReadFull(r, handles[:8*n]); err != nil {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return Piece{}, err
	}
	p := Piece{Size: int(size)}
	for i := range n {
		p.Handles = append(p.Handles, binary.LittleEndian.Uint64(handles[8*i:]))
	}
	return p, nil
}
