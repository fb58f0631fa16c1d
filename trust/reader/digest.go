package reader

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"io"

	"kpm/trust/readahead"
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
	return readahead.Each(ctx, r, 0, size, func(p []byte, _ int64) error {
		dst.Write(p) // hashes never fail
		return nil
	})
}
