// Package statefile is a room's memory of what it has changed outside this program:
// one JSON file below State, for root alone, that is read when the room opens and
// replaced durably before each change.
//
// It is for little that changes rarely. Histories are in databases, and records in the
// journal.
package statefile

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// File is where it is kept. Every field is required.
type File struct {
	Path string
	// Read and WriteAtomic are those of port.Files. Errors of Read wrap
	// fs.ErrNotExist.
	Read        func(path string) ([]byte, error)
	WriteAtomic func(path string, data []byte, perm os.FileMode) error
}

// Load reads the file into a pointer; one that is not there changes nothing. remedy is
// what to do about a file that is there and is no JSON of that form.
func (f File) Load(into any, remedy string) error {
	data, err := f.Read(f.Path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("read %s: %w", f.Path, err)
	}
	if err := json.Unmarshal(data, into); err != nil {
		return fmt.Errorf("%s cannot be read: %w; %s", f.Path, err, remedy)
	}
	return nil
}

// Save writes the file durably.
func (f File) Save(state any) error {
	data, err := json.MarshalIndent(state, "", " ")
	if err != nil {
		return err
	}
	if err := f.WriteAtomic(f.Path, append(data, '\n'), 0o600); err != nil {
		return fmt.Errorf("write %s: %w", f.Path, err)
	}
	return nil
}
