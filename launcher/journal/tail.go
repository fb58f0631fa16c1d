package journal

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// pollInterval is how often Tail looks for new records.
const pollInterval = 200 * time.Millisecond

// Tail calls emit with the last n records in dir and, if follow is set, with
// each new one until ctx is done, which is no error then. line is the record as
// written, without its newline, and valid during the call. Tail does not verify
// the chain; a line that is no record ends it.
func Tail(ctx context.Context, dir string, n int, follow bool, emit func(line []byte, r Record) error) error {
	list, err := segments(dir)
	if err == nil && len(list) == 0 {
		err = fmt.Errorf("no journal in %s: %w", dir, fs.ErrNotExist)
	}
	if err != nil {
		return fmt.Errorf("journal: tail: %w", err)
	}
	t := tailer{dir: dir, emit: emit}
	if err := t.last(ctx, list, n); err != nil {
		return fmt.Errorf("journal: tail: %w", err)
	}
	for follow {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pollInterval):
		}
		if err := t.more(ctx); err != nil {
			return fmt.Errorf("journal: tail: %w", err)
		}
	}
	return nil
}

type tailer struct {
	dir     string
	emit    func([]byte, Record) error
	segment uint64
	offset  int64
}

// last emits the last n records, reading no more segments than it must.
func (t *tailer) last(ctx context.Context, list []uint64, n int) error {
	from, have := len(list), 0
	counts := make([]int, len(list))
	for from > 0 && have < n {
		from--
		err := t.read(ctx, list[from], 0, func([]byte, Record) error {
			counts[from]++
			return nil
		})
		if errors.Is(err, fs.ErrNotExist) { // removed meanwhile
			from++
			break
		}
		if err != nil {
			return err
		}
		have += counts[from]
	}
	skip := max(0, have-n)
	for _, seq := range list[from:] {
		err := t.read(ctx, seq, 0, func(line []byte, r Record) error {
			if skip > 0 {
				skip--
				return nil
			}
			return t.emit(line, r)
		})
		if err != nil {
			return err
		}
	}
	if from == len(list) { // n is 0: begin at the end
		return t.read(ctx, list[len(list)-1], 0, func([]byte, Record) error { return nil })
	}
	return nil
}

// more emits what was added since, through as many new segments as there are.
func (t *tailer) more(ctx context.Context) error {
	// The list first: once a newer segment exists, the older one is complete.
	list, err := segments(t.dir)
	if err != nil {
		return err
	}
	if err := t.read(ctx, t.segment, t.offset, t.emit); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, seq := range list {
		if seq <= t.segment {
			continue
		}
		if err := t.read(ctx, seq, 0, t.emit); err != nil {
			return err
		}
	}
	return nil
}

// read calls emit for each whole line of a segment from offset on and remembers
// where it stopped.
func (t *tailer) read(ctx context.Context, segment uint64, offset int64, emit func([]byte, Record) error) error {
	path := filepath.Join(t.dir, segmentName(segment))
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	if _, err := file.Seek(offset, io.SeekStart); err != nil {
		return err
	}
	t.segment, t.offset = segment, offset
	reader := bufio.NewReaderSize(file, 64<<10)
	var line []byte
	for ctx.Err() == nil {
		line, err = readLine(reader, line)
		if errors.Is(err, io.EOF) || errors.Is(err, errPartial) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%s, offset %d: %w", path, t.offset, err)
		}
		r, err := parseLine(line)
		if err != nil {
			return fmt.Errorf("%s, offset %d: %w", path, t.offset, err)
		}
		if err := emit(line, r); err != nil {
			return err
		}
		t.offset += int64(len(line)) + 1
	}
	return nil
}
