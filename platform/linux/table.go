//go:build linux

package linux

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// maxTable bounds what is read of one table, in bytes, and maxLine one line:
	// groups have thousands of members.
	maxTable = 64 << 20
	maxLine  = 1 << 20
	// settled is how old a file's last change has to be before what was read counts for
	// later questions. The kernel's stamps are as fine as its clock's tick, at most 10 ms:
	// of two changes within one tick, the second shows in no stamp.
	settled = 100 * time.Millisecond
	// moment is how long nobody looks again whether a file has changed: one request
	// asks who somebody is a dozen times.
	moment = time.Millisecond
)

// table is what a file with one entry on each line says. It is read anew whenever it is
// another file or has changed: a question asks the kernel for that, unless another one
// has right before.
type table[T any] struct {
	path  string
	parse func(line string) (entry T, ok bool) // what is no entry is left out

	mu      sync.Mutex
	known   bool // what follows is of version
	version fileVersion
	entries []T
	looked  time.Time // when it was that version for certain
}

// fileVersion tells a file's contents from others, by what the kernel stamps.
type fileVersion struct {
	device, inode  uint64
	size           int64
	change, modify unix.Timespec
}

func newTable[T any](path string, parse func(string) (T, bool)) *table[T] {
	return &table[T]{path: path, parse: parse}
}

// all returns the entries, which callers do not change. Errors are those of opening the
// file, among them fs.ErrNotExist.
func (t *table[T]) all() ([]T, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	if t.known && now.Sub(t.looked) < moment {
		return t.entries, nil
	}
	var st unix.Stat_t
	if err := unix.Stat(t.path, &st); err != nil {
		return nil, &fs.PathError{Op: "stat", Path: t.path, Err: err}
	}
	if t.known && t.version == versionOf(&st) {
		t.looked = now
		return t.entries, nil
	}
	entries, version, err := t.read()
	if err != nil {
		return nil, err
	}
	t.entries, t.version, t.looked = entries, version, now
	t.known = time.Unix(version.change.Unix()).Before(now.Add(-settled))
	return entries, nil
}

func versionOf(st *unix.Stat_t) fileVersion {
	return fileVersion{st.Dev, st.Ino, st.Size, st.Ctim, st.Mtim}
}

// read returns the entries, and the version that the file had before they were read.
func (t *table[T]) read() ([]T, fileVersion, error) {
	f, err := os.Open(t.path)
	if err != nil {
		return nil, fileVersion{}, err
	}
	defer f.Close()
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return nil, fileVersion{}, &fs.PathError{Op: "fstat", Path: t.path, Err: err}
	}
	text, err := io.ReadAll(io.LimitReader(f, maxTable+1))
	if err == nil && len(text) > maxTable {
		err = errors.New("longer than 64 MiB")
	}
	if err != nil {
		return nil, fileVersion{}, fmt.Errorf("%s: %w", t.path, err)
	}
	var entries []T
	for line := range strings.Lines(string(text)) {
		if len(line) > maxLine {
			return nil, fileVersion{}, fmt.Errorf("%s: a line is longer than 1 MiB", t.path)
		}
		line = strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r")
		if entry, ok := t.parse(line); ok {
			entries = append(entries, entry)
		}
	}
	return entries, versionOf(&st), nil
}
