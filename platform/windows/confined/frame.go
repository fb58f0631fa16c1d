package confined

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"kpm/core/port"
)

// A pipe carries bytes. So that a file comes with some of them, what the service
// sends is frames: the file's number in the handle table of the confined process,
// 0 for none; how many bytes; the bytes. Numbers are little-endian.
const (
	headSize = 12
	// MaxFrame is how many bytes one frame has at most.
	MaxFrame = 1 << 20
)

// errFrame is for what the service never sends.
var errFrame = errors.New("malformed frame")

// AppendFrame adds a frame to dst. p has 1 to MaxFrame bytes.
func AppendFrame(dst, p []byte, handle uint64) []byte {
	dst = binary.LittleEndian.AppendUint64(dst, handle)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(p)))
	return append(dst, p...)
}

// frames reads the bytes of frames, and the files that come with them.
type frames struct {
	from io.Reader
	open func(handle uint64) port.HandedFile
	left int // of the frame at hand
}

// Receive is that of port.Confinement.
func (f *frames) Receive(p []byte) (int, port.HandedFile, error) {
	if len(p) == 0 {
		return 0, nil, nil
	}
	var came port.HandedFile
	if f.left == 0 {
		var head [headSize]byte
		if _, err := io.ReadFull(f.from, head[:]); err != nil {
			if err == io.EOF {
				return 0, nil, err
			}
			return 0, nil, fmt.Errorf("receive: %w", err)
		}
		handle, size := binary.LittleEndian.Uint64(head[:]), binary.LittleEndian.Uint32(head[8:])
		if size == 0 || size > MaxFrame {
			return 0, nil, fmt.Errorf("receive: %w", errFrame)
		}
		f.left = int(size)
		if handle != 0 {
			came = f.open(handle)
		}
	}
	n, err := io.ReadFull(f.from, p[:min(len(p), f.left)])
	f.left -= n
	if err != nil {
		if came != nil {
			came.Close()
		}
		return 0, nil, fmt.Errorf("receive: %w", err)
	}
	return n, came, nil
}
