package darwin

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"kpm/platform/darwin/file"
	"kpm/platform/darwin/image"
)

// ErrChanged is wrapped by Release when what is there, suspended, is not the
// program that was approved.
var ErrChanged = errors.New("what was started is not the program that was approved")

// sealed is what a program was when it was approved, for comparison with what runs.
type sealed struct {
	path   string
	node   file.Node
	script bool
	hashes []image.Hash // none for a script, or a file without a code signature
}

// seal looks at the approved file.
func seal(path string, node file.Node, script bool, content io.ReaderAt) (sealed, error) {
	s := sealed{path: path, node: node, script: script}
	if script {
		return s, nil
	}
	hashes, err := image.Hashes(content)
	if err != nil && !errors.Is(err, image.ErrUnsigned) {
		return s, fmt.Errorf("%s: %w; it is damaged, or no program for macOS", path, err)
	}
	s.hashes = hashes
	return s, nil
}

// running is what the kernel says about a suspended process.
type running struct {
	path string     // of its image
	node file.Node  // what lies at path now; of a script, what lies at its own path
	hash image.Hash // that the kernel holds it to
	none bool       // it is held to none
}

// compare returns nil if what runs is the sealed file.
//
// Attack (CVE-2021-3969 and its kind): between approval and start the path is made
// to name another file. macOS executes by path (there is no fexecve), so that what is
// there is looked at before its first instruction. A private copy and a Protected
// file can be changed by root alone; this holds even so.
//
// A script's process is its interpreter, which opens the script by its path when it
// goes on: that path must still name the approved file, unchanged.
func (s sealed) compare(r running) error {
	same := r.node.Same(s.node) && r.node.Change.Equal(s.node.Change) && r.node.Size == s.node.Size
	switch {
	case s.script && same:
		return nil
	case s.script:
		return fmt.Errorf("%s: %w", s.path, ErrChanged)
	case r.none != (len(s.hashes) == 0):
		return fmt.Errorf("%s: signed is one of both only: %w", s.path, ErrChanged)
	case !r.none && !slices.Contains(s.hashes, r.hash):
		return fmt.Errorf("%s: code directory hash %x is none of %x: %w", s.path, r.hash, s.hashes, ErrChanged)
	case !same:
		return fmt.Errorf("%s runs from %s: %w", s.path, r.path, ErrChanged)
	}
	return nil
}
