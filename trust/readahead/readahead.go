// Package readahead reads a part of a file one piece ahead of whoever makes
// something of it, so that a large file is read while it is hashed. It holds two
// pieces in memory, whatever the size of the file.
package readahead

import (
	"context"
	"errors"
	"io"
)

// piece is how much is read at once, in bytes: a multiple of every page size.
const piece = 512 << 10

// Each hands the size bytes of r from at on to use, in order, in pieces that use
// must not keep. It ends with the first error of use or of reading, and when ctx
// does; nothing reads any more then. A file that is shorter than at+size is
// io.ErrUnexpectedEOF.
func Each(ctx context.Context, r io.ReaderAt, at, size int64, use func(p []byte, at int64) error) error {
	if size <= piece {
		if err := ctx.Err(); err != nil || size <= 0 {
			return err
		}
		p := make([]byte, size)
		if err := full(r, p, at); err != nil {
			return err
		}
		return use(p, at)
	}
	ctx, cancel := context.WithCancel(ctx)
	empty, read := make(chan []byte, 2), make(chan part, 1)
	empty <- make([]byte, piece)
	empty <- make([]byte, piece)
	go ahead(ctx, r, at, size, empty, read)
	defer func() {
		cancel()
		for range read { // until the reader has ended
		}
	}()
	for next := range read {
		err := next.err
		if err == nil {
			err = use(next.bytes, next.at)
		}
		if err != nil {
			return err
		}
		empty <- next.bytes[:piece]
	}
	return ctx.Err()
}

// part is a piece that was read.
type part struct {
	bytes []byte
	at    int64
	err   error
}

func ahead(ctx context.Context, r io.ReaderAt, at, size int64, empty <-chan []byte, read chan<- part) {
	defer close(read)
	for end := at + size; at < end; {
		var next part
		select {
		case buffer := <-empty:
			next = part{bytes: buffer[:min(piece, end-at)], at: at}
		case <-ctx.Done():
			return
		}
		next.err = full(r, next.bytes, at)
		at += int64(len(next.bytes))
		select {
		case read <- next:
		case <-ctx.Done():
			return
		}
		if next.err != nil {
			return
		}
	}
}

func full(r io.ReaderAt, p []byte, at int64) error {
	n, err := r.ReadAt(p, at)
	if n == len(p) {
		return nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
