package authenticode

import (
	"context"
	"fmt"
	"iter"
)

// claimStream claims what a stream lies in. Its chain may be longer than the
// stream is, not shorter.
func (c *compound) claimStream(e *entry) error {
	if e.size == 0 {
		return nil // and whatever first says, it has no sectors
	}
	if e.size < cfbCutoff {
		return c.claimMini(e)
	}
	left := e.size
	_, err := c.chain(e.first, func(sector uint32) error {
		err := c.holds(sector, left)
		left -= c.sectorSize()
		return err
	})
	if err == nil && left > 0 {
		err = malformed("a stream of the package is cut off")
	}
	return err
}

func (c *compound) claimMini(e *entry) error {
	var length int64
	for at := e.first; at != cfbEnd; at = c.miniFAT[at] {
		if int64(at) >= int64(len(c.miniFAT)) || !c.usedMin.claim(at) {
			return malformed("a chain of the package's mini sectors is damaged, or two of them meet")
		}
		// The last mini sector may be a part of one.
		if end := min((length+1)*cfbMiniSize, e.size) - length*cfbMiniSize; end > 0 && int64(at)*cfbMiniSize+end > c.root.size {
			return malformed("a short stream of the package is cut off")
		}
		length++
	}
	if length*cfbMiniSize < e.size {
		return malformed("a short stream of the package is cut off")
	}
	return nil
}

// extents are the parts of the file that a stream lies in, in the order of the
// stream, each as long as it can be.
func (c *compound) extents(e *entry) iter.Seq[span] {
	return func(yield func(span) bool) {
		var run span
		left := e.size
		// add continues run, or hands it over and begins another.
		add := func(at, n int64) bool {
			n = min(n, left)
			left -= n
			if run.end == at {
				run.end += n
				return true
			}
			done := run
			run = span{at, at + n}
			return done == (span{}) || yield(done)
		}
		if e.size < cfbCutoff {
			for at := e.first; left > 0; at = c.miniFAT[at] {
				if !add(c.miniOffset(at), cfbMiniSize) {
					return
				}
			}
		} else {
			for at := e.first; left > 0; at = c.fat[at] {
				if !add(c.offset(at), c.sectorSize()) {
					return
				}
			}
		}
		if run != (span{}) {
			yield(run)
		}
	}
}

// miniOffset is where a mini sector lies in the file.
func (c *compound) miniOffset(at uint32) int64 {
	in := int64(at) << cfbMiniShift
	return c.offset(c.mini[in>>c.shift]) + in&(c.sectorSize()-1)
}

// copyTo hands over what a stream holds, in pieces that fit into buffer.
func (c *compound) copyTo(ctx context.Context, e *entry, buffer []byte, write func([]byte)) error {
	for part := range c.extents(e) {
		for at := part.start; at < part.end; {
			if err := ctx.Err(); err != nil {
				return err
			}
			b := buffer[:min(int64(len(buffer)), part.end-at)]
			if n, err := c.r.ReadAt(b, at); n < len(b) {
				return fmt.Errorf("compound file: %w", short(err))
			}
			write(b)
			at += int64(len(b))
		}
	}
	return nil
}

// content reads a short stream whole. Its size is bounded by the caller.
func (c *compound) content(e *entry) ([]byte, error) {
	b := make([]byte, 0, e.size)
	err := c.copyTo(context.Background(), e, make([]byte, min(e.size, readSize)), func(part []byte) { b = append(b, part...) })
	return b, err
}

// streams are all streams below e.
func streams(e *entry) iter.Seq[*entry] {
	return func(yield func(*entry) bool) { walk(e, yield) }
}

func walk(e *entry, yield func(*entry) bool) bool {
	for _, child := range e.children {
		if child.kind == cfbStream && !yield(child) || child.kind == cfbStorage && !walk(child, yield) {
			return false
		}
	}
	return true
}
