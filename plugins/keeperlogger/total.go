package keeperlogger

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// total keeps a log and its rotated files within so many bytes: the oldest
// rotated ones go. The active file is never removed, so there is room for it.
type total struct {
	path string // of the active file
	most int64  // of the rotated ones
}

// trim removes rotated files, oldest first, until the others fit.
func (t total) trim() error {
	dir, base := filepath.Split(t.path)
	ext := filepath.Ext(base)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	type rotated struct {
		name string
		size int64
	}
	var list []rotated
	var sum int64
	for _, e := range entries {
		stamp, ours := strings.CutPrefix(e.Name(), strings.TrimSuffix(base, ext)+"-")
		if !ours || !strings.HasSuffix(stamp, ext) || !isStamp(stamp) || !e.Type().IsRegular() {
			continue
		}
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		list = append(list, rotated{e.Name(), info.Size()})
		sum += info.Size()
	}
	slices.SortFunc(list, func(a, b rotated) int { return strings.Compare(a.name, b.name) }) // by their time
	for _, r := range list {
		if sum <= t.most {
			break
		}
		if err := os.Remove(filepath.Join(dir, r.name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		sum -= r.size
	}
	return nil
}

// isStamp reports whether text begins as the name of a rotated file goes on:
// YYYYMMDD_HHMMSS-.
func isStamp(text string) bool {
	const like = "00000000_000000-"
	if len(text) < len(like) {
		return false
	}
	for i := range len(like) {
		if digit := text[i] >= '0' && text[i] <= '9'; like[i] == '0' && !digit || like[i] != '0' && text[i] != like[i] {
			return false
		}
	}
	return true
}
