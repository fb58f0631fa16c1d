package fake

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"kpm/core"
	"kpm/core/port"
)

// Files are the files below one folder. Handles are ordinary open files. What
// lies below Dir/home belongs to users, everything else is Protected.
type Files struct {
	Dir string

	mu     sync.Mutex
	locked map[string]bool
	copies int
}

var _ port.Files = (*Files)(nil)

// NewFiles returns the files below dir.
func NewFiles(dir string) *Files { return &Files{Dir: dir, locked: map[string]bool{}} }

// Find implements port.Opener: the secure path is Dir/bin.
func (f *Files) Find(name string) (*os.File, error) {
	return os.Open(filepath.Join(f.Dir, "bin", name))
}

// Locate implements port.Opener.
func (f *Files) Locate(path string) (*os.File, error) { return os.Open(path) }

// Inspect implements port.Opener. The path stands for device and inode, and
// every regular file can be executed.
func (f *Files) Inspect(h *os.File) (port.FileInfo, error) {
	info, err := h.Stat()
	if err != nil {
		return port.FileInfo{}, err
	}
	sum := sha256.Sum256([]byte(h.Name()))
	regular := info.Mode().IsRegular()
	return port.FileInfo{
		Path: h.Name(), Inode: binary.BigEndian.Uint64(sum[:]), Size: info.Size(), Change: info.ModTime(),
		Regular: regular, Dir: info.IsDir(), Links: 1, Exec: regular, Owner: Administrator,
	}, nil
}

// Open implements port.Opener.
func (f *Files) Open(h *os.File) (*os.File, error) { return os.Open(h.Name()) }

// Protected implements port.Protection.
func (f *Files) Protected(h *os.File) error { return f.protected(h.Name()) }

func (f *Files) protected(path string) error {
	if strings.HasPrefix(path, filepath.Join(f.Dir, "home")+string(filepath.Separator)) {
		return fmt.Errorf("%s: %w", path, core.ErrNotProtected)
	}
	return nil
}

// LocateProtected implements port.Protection.
func (f *Files) LocateProtected(path string) (*os.File, error) {
	if err := f.protected(path); err != nil {
		return nil, err
	}
	return os.Open(path)
}

// ReadProtected implements port.Protection.
func (f *Files) ReadProtected(path string, limit int64) ([]byte, error) {
	if err := f.protected(path); err != nil {
		return nil, err
	}
	data, err := os.ReadFile(path)
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("%s: %w", path, core.ErrTooLarge)
	}
	return data, err
}

// ProtectedRoot implements port.Protection.
func (f *Files) ProtectedRoot(path string) error { return f.protected(path) }

// Private implements port.Protection.
func (f *Files) Private(h *os.File) error { return f.protected(h.Name()) }

// Copy implements port.Storage.
func (f *Files) Copy(_ context.Context, src *os.File, dir, base string, _ core.Account, _ func() error) (*os.File, string, error) {
	data, err := os.ReadFile(src.Name())
	if err != nil {
		return nil, "", err
	}
	f.mu.Lock()
	f.copies++
	path := filepath.Join(dir, fmt.Sprint(f.copies, "-", base))
	f.mu.Unlock()
	if err := os.WriteFile(path, data, 0o500); err != nil {
		return nil, "", err
	}
	sum := sha256.Sum256(data)
	private, err := os.Open(path)
	return private, hex.EncodeToString(sum[:]), err
}

// WriteAtomic implements port.Storage.
func (f *Files) WriteAtomic(path string, data []byte, perm os.FileMode) error {
	if err := os.WriteFile(path+".new", data, perm); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// Replace implements port.Storage.
func (f *Files) Replace(path string, data []byte, perm os.FileMode) error {
	return f.WriteAtomic(path, data, perm)
}

// Lock implements port.Storage.
func (f *Files) Lock(path string) (io.Closer, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.locked[path] {
		return nil, fmt.Errorf("lock %s: %w", path, fs.ErrExist)
	}
	f.locked[path] = true
	return lock{f, path}, nil
}

type lock struct {
	files *Files
	path  string
}

// Close implements io.Closer.
func (l lock) Close() error {
	l.files.mu.Lock()
	defer l.files.mu.Unlock()
	delete(l.files.locked, l.path)
	return nil
}
