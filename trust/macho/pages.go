package macho

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"kpm/trust/readahead"
)

// readSize is how much of a file is read at once: a multiple of every page
// size, large enough that reading costs no more than it does any hash tool.
const readSize = 1 << 20

// errDiffers ends the reading at the first page that differs.
var errDiffers = errors.New("mach-o: a page differs")

// verifyPages compares the hash of every page of a slice with what the
// directory says, in one pass over the bytes. It returns the number of the
// first page that differs, or -1.
func (f *file) verifyPages(ctx context.Context, s slice, d *directory) (int64, error) {
	h := d.digest.hash.New()
	size := int64(1) << d.page
	if d.page == 0 {
		size = int64(d.limit)
	}
	sum := make([]byte, 0, h.Size())
	hashes, page, left := d.code, int64(0), size // left: bytes that the current page still lacks
	end := s.offset + int64(d.limit)
	err := readahead.Each(ctx, f.r, s.offset, int64(d.limit), func(p []byte, at int64) error {
		at += int64(len(p))
		for len(p) > 0 {
			n := min(left, int64(len(p)))
			h.Write(p[:n])
			p, left = p[n:], left-n
			if left > 0 && (len(p) > 0 || at < end) {
				continue // p is empty: the page goes on in the next read
			}
			if sum = h.Sum(sum[:0]); !bytes.Equal(sum[:d.digest.size], hashes[:d.digest.size]) {
				return errDiffers
			}
			h.Reset()
			hashes, page, left = hashes[d.digest.size:], page+1, size
		}
		return nil
	})
	switch {
	case errors.Is(err, errDiffers):
		return page, nil
	case err != nil && ctx.Err() == nil:
		return 0, fmt.Errorf("mach-o: read: %w", err)
	case err != nil:
		return 0, err
	}
	return -1, nil
}
