// Package below lists the regular files below a folder, for rules that name many. It
// follows no link and opens nothing by itself.
package below

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
)

// maxDepth bounds how deep below a folder files are looked for, and how many errors
// are told.
const maxDepth = 16

// Files returns the paths of regular files below a folder, at most limit, sorted within
// each folder. entries reads one; a folder that is not there has none. What it has found
// is returned beside an error, which says what it has left out.
func Files(folder string, limit int, entries func(folder string) ([]fs.DirEntry, error)) ([]string, error) {
	s := search{limit: limit, entries: entries}
	s.look(filepath.Clean(folder), maxDepth)
	return s.paths, errors.Join(s.errs...)
}

type search struct {
	limit   int
	entries func(string) ([]fs.DirEntry, error)
	paths   []string
	errs    []error
}

// look reports whether there is room for more.
func (s *search) look(folder string, depth int) bool {
	if depth == 0 || len(s.errs) == maxDepth {
		return true
	}
	entries, err := s.entries(folder)
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			s.errs = append(s.errs, err)
		}
		return true
	}
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	for _, e := range entries {
		path := filepath.Join(folder, e.Name())
		switch {
		case len(s.paths) == s.limit:
			s.errs = append(s.errs, fmt.Errorf("files: more than %d files below %s", s.limit, folder))
			return false
		case e.IsDir():
			if !s.look(path, depth-1) {
				return false
			}
		case e.Type().IsRegular():
			s.paths = append(s.paths, path)
		}
	}
	return true
}
