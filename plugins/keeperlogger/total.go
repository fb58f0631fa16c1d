package keeperlogger

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// stampLayout is that of the time in a rotated file's name, local time.
const stampLayout = "20060102_150405"

// total gives rotated files their published names and keeps a log and them within
// so many bytes and days: the oldest rotated ones go. The active file is never
// removed, so there is room for it.
type total struct {
	path string // of the active file
	most int64  // of the rotated ones, in bytes
	days int    // of their age; 0 is any
}

// rotated is a file that the active one was once.
type rotated struct {
	name string
	at   time.Time
	size int64
}

// trim removes rotated files that are too old, and then, oldest first, until the
// others fit.
func (t total) trim(now time.Time) error {
	if err := t.rename(); err != nil {
		return err
	}
	list, err := t.list('_')
	if err != nil {
		return err
	}
	var sum int64
	for _, r := range list {
		sum += r.size
	}
	for _, r := range list {
		if sum <= t.most && (t.days == 0 || now.Before(r.at.AddDate(0, 0, t.days))) {
			continue
		}
		if err := os.Remove(filepath.Join(filepath.Dir(t.path), r.name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		sum -= r.size
	}
	return nil
}

// rename turns the names that the rotating library gives, name-stamp-reason.log,
// into the published one, name_stamp.log.
func (t total) rename() error {
	list, err := t.list('-')
	if err != nil {
		return err
	}
	dir, base := filepath.Split(t.path)
	ext := filepath.Ext(base)
	for _, r := range list {
		stem := strings.TrimSuffix(base, ext) + "_" + r.at.Format(stampLayout)
		next := stem + ext
		for n := 2; ; n++ { // two rotations within a second
			if _, err := os.Lstat(filepath.Join(dir, next)); err != nil {
				break
			}
			next = fmt.Sprintf("%s_%d%s", stem, n, ext)
		}
		if err := os.Rename(filepath.Join(dir, r.name), filepath.Join(dir, next)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// list returns the rotated files whose names go on with mark, oldest first.
func (t total) list(mark byte) (list []rotated, err error) {
	dir, base := filepath.Split(t.path)
	ext := filepath.Ext(base)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		rest, ours := strings.CutPrefix(e.Name(), strings.TrimSuffix(base, ext)+string(mark))
		rest, whole := strings.CutSuffix(rest, ext)
		at, stamped := stampOf(rest, mark)
		if !ours || !whole || !stamped || !e.Type().IsRegular() {
			continue
		}
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		list = append(list, rotated{e.Name(), at, info.Size()})
	}
	slices.SortStableFunc(list, func(a, b rotated) int { return a.at.Compare(b.at) })
	return list, nil
}

// stampOf reads the time with which text begins. Behind it there is nothing, or more
// that begins with mark; behind a mark of the library there is more.
func stampOf(text string, mark byte) (time.Time, bool) {
	if len(text) < len(stampLayout) {
		return time.Time{}, false
	}
	at, err := time.ParseInLocation(stampLayout, text[:len(stampLayout)], time.Local)
	more := text[len(stampLayout):]
	return at, err == nil && (more == "" && mark == '_' || more != "" && more[0] == mark)
}
