package none

import (
	"context"
	"errors"
	"io"
	"os"

	"kpm/core"
	"kpm/core/port"
)

// Files implements port.Files.
type Files struct{}

var _ port.Files = Files{}

// Find implements port.Files.
func (Files) Find(string) (*os.File, error) { return nil, errors.ErrUnsupported }

// Locate implements port.Files.
func (Files) Locate(string) (*os.File, error) { return nil, errors.ErrUnsupported }

// Inspect implements port.Files.
func (Files) Inspect(*os.File) (port.FileInfo, error) {
	return port.FileInfo{}, errors.ErrUnsupported
}

// Open implements port.Files.
func (Files) Open(*os.File) (*os.File, error) { return nil, errors.ErrUnsupported }

// Protected implements port.Files.
func (Files) Protected(*os.File) error { return errors.ErrUnsupported }

// LocateProtected implements port.Files.
func (Files) LocateProtected(string) (*os.File, error) { return nil, errors.ErrUnsupported }

// ReadProtected implements port.Files.
func (Files) ReadProtected(string, int64) ([]byte, error) { return nil, errors.ErrUnsupported }

// ProtectedRoot implements port.Files.
func (Files) ProtectedRoot(string) error { return errors.ErrUnsupported }

// Private implements port.Files.
func (Files) Private(*os.File) error { return errors.ErrUnsupported }

// Copy implements port.Files.
func (Files) Copy(context.Context, *os.File, string, string, core.Account, func() error) (*os.File, string, error) {
	return nil, "", errors.ErrUnsupported
}

// WriteAtomic implements port.Files.
func (Files) WriteAtomic(string, []byte, os.FileMode) error { return errors.ErrUnsupported }

// Replace implements port.Files.
func (Files) Replace(string, []byte, os.FileMode) error { return errors.ErrUnsupported }

// Lock implements port.Files.
func (Files) Lock(string) (io.Closer, error) { return nil, errors.ErrUnsupported }
