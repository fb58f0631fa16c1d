package macho

import (
	"bytes"
	"context"
)

// readSize is how much of a file is read at once: a multiple of every page
// size, large enough that reading costs no more than it does any hash tool.
const readSize = 1 << 20

// verifyPages compares the hash of every page of a slice with what the
// directory says, in one pass over the bytes. It returns the number of the
// first page that differs, or -1.
func (f *file) verifyPages(ctx context.Context, s slice, d *directory) (int64, error) {
	h := d.digest.hash.New()
	size := int64(1) << d.page
	if d.page == 0 {
		size = int64(d.limit)
	}
	buffer := make([]byte, min(readSize, int64(d.limit)))
	sum := make([]byte, 0, h.Size())
	hashes, page, left := d.code, int64(0), size // left: bytes that the current page still lacks
	for at := int64(0); at < int64(d.limit); {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		p := buffer[:min(int64(len(buffer)), int64(d.limit)-at)]
		if err := readFull(f.r, p, s.offset+at); err != nil {
			return 0, err
		}
		at += int64(len(p))
		for len(p) > 0 {
			n := min(left, int64(len(p)))
			h.Write(p[:n])
			p, left = p[n:], left-n
			if left > 0 && at < int64(d.limit) {
				continue // p is empty: the page goes on in the next read
			}
			if sum = h.Sum(sum[:0]); !bytes.Equal(sum[:d.digest.size], hashes[:d.digest.size]) {
				return page, nil
			}
			h.Reset()
			hashes, page, left = hashes[d.digest.size:], page+1, size
		}
	}
	return -1, nil
}
