//go:build !linux && !darwin

package files

import "errors"

// Folder reads nothing: where it cannot be told who can change a file, none is
// believed.
type Folder struct{}

// Open answers errors.ErrUnsupported.
func Open(_, _ string) (*Folder, error) { return nil, errors.ErrUnsupported }

// Names implements what Folder has on other systems.
func (*Folder) Names() ([]string, error) { return nil, errors.ErrUnsupported }

// Read implements what Folder has on other systems.
func (*Folder) Read(string, int64) ([]byte, error) { return nil, errors.ErrUnsupported }

// Close implements what Folder has on other systems.
func (*Folder) Close() error { return nil }

// Resolve answers errors.ErrUnsupported.
func Resolve(string, func(string, bool, bool)) (string, error) { return "", errors.ErrUnsupported }
