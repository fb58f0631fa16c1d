package reader

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"io"
)

// Digests hashes a file once with each algorithm that is asked for. It makes
// nothing of the bytes, so whoever may read them may do so.
type Digests struct {
	r     io.ReaderAt
	size  int64
	known map[crypto.Hash][]byte
}

// NewDigests returns the digests of the first size bytes of r.
func NewDigests(r io.ReaderAt, size int64) *Digests {
	return &Digests{r: r, size: size, known: map[crypto.Hash][]byte{}}
}

// readSize is how much is read at once, in bytes.
const readSize = 512 << 10

// Digest returns one, or ctx's error if it is done meanwhile. An algorithm that
// is not linked is errors.ErrUnsupported.
func (d *Digests) Digest(ctx context.Context, h crypto.Hash) ([]byte, error) {
	if sum, ok := d.known[h]; ok {
		return sum, nil
	}
	if !h.Available() {
		return nil, fmt.Errorf("%v: %w", h, errors.ErrUnsupported)
	}
	hash := h.New()
	if err := pour(ctx, hash, d.r, d.size); err != nil {
		return nil, err
	}
	d.known[h] = hash.Sum(nil)
	return d.known[h], nil
}

// pour writes the size bytes of r to dst, and looks at ctx between reads.
func pour(ctx context.Context, dst io.Writer, r io.ReaderAt, size int64) error {
	buffer := make([]byte, min(readSize, size))
	for at := int64(0); at < size; {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := r.ReadAt(buffer[:min(int64(len(buffer)), size-at)], at)
		if n == 0 {
			return cmpErr(err, io.ErrUnexpectedEOF)
		}
		dst.Write(buffer[:n]) // hashes never fail
		at += int64(n)
	}
	return nil
}

func cmpErr(err, other error) error {
	if err == nil || errors.Is(err, io.EOF) {
		return other
	}
	return err
}
