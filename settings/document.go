package settings

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"

	"kpm/core"
	"kpm/core/fault"
	"kpm/core/strictjson"
)

// maxDepth bounds how deep objects and lists nest in a document, so that no
// reader of it recurses further.
const maxDepth = 32

// Document is a JSON object that somebody wrote: well-formed, within its size,
// at most 32 levels deep, and no object in it names one key twice in any
// letter case. Property names are read case-insensitively (decision 1), and
// two spellings of one property would hide one of the values from its reader.
type Document struct {
	name string
	root strictjson.Value
}

// Digest is the SHA-256 of what the file says.
func (d Document) Digest() [sha256.Size]byte { return sha256.Sum256(d.root.Raw()) }

// Raw is what the file says.
func (d Document) Raw() []byte { return d.root.Raw() }

// Root is the object that the file holds.
func (d Document) Root() strictjson.Value { return d.root }

// Name is the file that faults name.
func (d Document) Name() string { return d.name }

// Reader returns the contents of a regular file that administrators alone can
// change, as ReadProtected of port.Protection does. It never waits for whoever
// is behind a path. A file that somebody else can change is
// core.ErrNotProtected, with what to do about it: its author would act with the
// service's rights.
type Reader func(path string, limit int64) ([]byte, error)

// ReadDocument reads the file at path, at most limit bytes. A link is refused,
// wherever it leads. The error is a *fault.Fault, or wraps fs.ErrNotExist.
func ReadDocument(path string, limit int64, read Reader) (Document, error) {
	info, err := os.Lstat(path)
	switch {
	case err != nil:
		return Document{}, fmt.Errorf("settings: %w", err)
	case !info.Mode().IsRegular():
		return Document{}, irregular(path)
	}
	return readDocument(path, limit, read)
}

func irregular(path string) *fault.Fault {
	return &fault.Fault{File: path, Found: "this is not a regular file", Expected: "the file itself, no link, directory or pipe"}
}

// readDocument is ReadDocument of a regular file.
func readDocument(path string, limit int64, read Reader) (Document, error) {
	data, err := read(path, limit)
	switch {
	case errors.Is(err, core.ErrNotRegular):
		return Document{}, irregular(path)
	case errors.Is(err, core.ErrNotProtected):
		return Document{}, &fault.Fault{File: path, Found: "the file cannot be trusted (" + err.Error() + ")", Expected: "that administrators alone can change it and the directories above it"}
	case errors.Is(err, core.ErrTooLarge):
		return Document{}, &fault.Fault{File: path, Found: fmt.Sprintf("the file is longer than %d bytes", limit), Expected: "less"}
	case err != nil:
		return Document{}, fmt.Errorf("settings: %w", err)
	}
	return ParseDocument(path, data)
}

// ParseDocument checks data as ReadDocument does; name is for faults, which
// are *fault.Fault.
func ParseDocument(name string, data []byte) (Document, error) {
	root, err := strictjson.Parse(data, len(data))
	if err != nil {
		return Document{}, faultOf(name, err)
	}
	d := Document{name: name, root: root}
	if !root.IsObject() {
		return Document{}, d.Fault("", "the file does not hold a JSON object", "{ ... }")
	}
	if err := root.Check(maxDepth); err != nil {
		return Document{}, faultOf(name, err)
	}
	return d, nil
}

// Decode reads the document into a struct. Unknown names are ignored; the
// error is a *fault.Fault.
func (d Document) Decode(into any) error {
	if err := d.root.Decode(into); err != nil {
		return faultOf(d.name, err)
	}
	return nil
}

// Fault is a fault of the document: field is a JSON path, and the place is that
// of its value, or of the innermost object around it that there is.
func (d Document) Fault(field, found, expected string) *fault.Fault {
	return d.faultAt(d.root.Nearest(field), field, found, expected)
}

func (d Document) faultAt(v strictjson.Value, field, found, expected string) *fault.Fault {
	line, column := v.Place()
	return &fault.Fault{File: d.name, Line: line, Column: column, Field: field, Found: found, Expected: expected}
}

// faultOf is an error of strictjson as a fault of the file name.
func faultOf(name string, err error) error {
	var refused *strictjson.Error
	if !errors.As(err, &refused) {
		return fmt.Errorf("settings: %s: %w", name, err)
	}
	return refused.Fault(name)
}
