package settings

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"kpm/core/fault"
)

// maxFiles bounds how many files one directory may give.
const maxFiles = 16_384

// Entry is one *.json file of a directory: its name without the ending, and
// the document or what is wrong with it.
type Entry struct {
	ID  string
	Doc Document
	Err error
}

// ReadDirectory reads the *.json files directly in dir, sorted by name, each
// with ReadDocument. A broken file is an Entry with Err: it never hides the
// others. No directory means no files.
func ReadDirectory(dir string, limit int64, read Reader) ([]Entry, error) {
	files, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("settings: %w", err)
	}
	var entries []Entry
	for _, file := range files {
		id, isJSON := strings.CutSuffix(file.Name(), ".json")
		if !isJSON || id == "" || file.IsDir() {
			continue
		}
		if len(entries) == maxFiles {
			return nil, &fault.Fault{File: dir, Found: fmt.Sprintf("the directory has more than %d files", maxFiles), Expected: "fewer"}
		}
		path := filepath.Join(dir, file.Name())
		doc, err := Document{}, error(irregular(path))
		if file.Type().IsRegular() { // as the directory says: it need not be looked up again
			doc, err = readDocument(path, limit, read)
		}
		entries = append(entries, Entry{ID: id, Doc: doc, Err: err})
	}
	return entries, nil
}
