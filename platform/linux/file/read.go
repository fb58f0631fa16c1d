//go:build linux

package file

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"kpm/core"
)

// ReadProtected implements port.Files. What was checked is what is read: the
// handle of the walk is opened again, not the path.
func (s Files) ReadProtected(path string, limit int64) ([]byte, error) {
	fd, at, err := s.locate(path)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	return contents(fd, at, limit)
}

// Folder is a directory that was protected when it was opened, with everything
// above it. What lies in it is read without walking there again.
type Folder struct {
	fd    int
	at    Place
	check func(Place) error
}

// OpenFolder opens the directory at path. Links of root's are followed on the way
// there, but path itself is none.
func (s Files) OpenFolder(path string) (*Folder, error) {
	parent, above, err := s.locate(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	defer unix.Close(parent)
	fd, at, err := step(parent, above, filepath.Base(path))
	if err != nil {
		return nil, err
	}
	check := refuseChangeable(s.rootAbove(path))
	if err = isA(at, unix.S_IFDIR); err == nil {
		err = check(at)
	}
	if err != nil {
		unix.Close(fd)
		return nil, err
	}
	return &Folder{fd: fd, at: at, check: check}, nil
}

// Entries returns what lies in the folder, in no order.
func (f *Folder) Entries() ([]os.DirEntry, error) {
	dir, err := Reopen(f.fd, f.at.Path, unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	return dir.ReadDir(-1)
}

// Names returns what lies in the folder, directories left out, in no order.
func (f *Folder) Names() ([]string, error) {
	entries, err := f.Entries()
	if err != nil {
		return nil, err
	}
	names := make([]string, 0, len(entries))
	for _, e := range entries {
		if !e.IsDir() {
			names = append(names, e.Name())
		}
	}
	return names, err
}

// Read returns the contents of the regular file name in the folder, which must
// be protected like the folder; a link is not followed. Its errors are those of
// ReadProtected.
func (f *Folder) Read(name string, limit int64) ([]byte, error) {
	fd, at, err := step(f.fd, f.at, name)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	if err = isA(at, unix.S_IFREG); err == nil {
		err = f.check(at)
	}
	if err != nil {
		return nil, err
	}
	return contents(fd, at, limit)
}

// Close lets go of the folder.
func (f *Folder) Close() error { return unix.Close(f.fd) }

// contents reads at most limit bytes of the protected file that fd, an O_PATH
// descriptor, refers to. It lies on a local file system, so that nobody has to
// be waited for; O_NONBLOCK because a lease would be.
func contents(fd int, at Place, limit int64) ([]byte, error) {
	if err := isA(at, unix.S_IFREG); err != nil {
		return nil, err
	}
	if at.Size > limit {
		return nil, tooLarge(at.Path, limit)
	}
	again, err := OpenAt(unix.AT_FDCWD, ProcFd(fd), unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return nil, fmt.Errorf("files: %s is in use by another program (lease): %w", at.Path, fs.ErrPermission)
	}
	if err != nil {
		return nil, fmt.Errorf("files: open %s: %w", at.Path, err)
	}
	defer unix.Close(again)
	// It may grow meanwhile: one byte more than allowed tells.
	data := make([]byte, 0, at.Size+1)
	for {
		if len(data) == cap(data) {
			data = append(data, 0)[:len(data)]
		}
		n, err := unix.Read(again, data[len(data):cap(data)])
		switch {
		case err == unix.EINTR:
			continue
		case err != nil:
			return nil, fmt.Errorf("files: read %s: %w", at.Path, err)
		case n == 0:
			return data, nil
		}
		if data = data[:len(data)+n]; int64(len(data)) > limit {
			return nil, tooLarge(at.Path, limit)
		}
	}
}

// isA returns an error that says what is there instead of want, S_IFREG or
// S_IFDIR.
func isA(at Place, want uint16) error {
	kind := "a special file"
	switch at.Mode & unix.S_IFMT {
	case want:
		return nil
	case unix.S_IFLNK:
		kind = "a link"
	case unix.S_IFDIR:
		kind = "a folder"
	case unix.S_IFREG:
		kind = "a file"
	}
	if want == unix.S_IFDIR {
		return fmt.Errorf("files: %s is %s: %w", at.Path, kind, unix.ENOTDIR)
	}
	return fmt.Errorf("files: %s is %s: %w", at.Path, kind, core.ErrNotRegular)
}

func tooLarge(path string, limit int64) error {
	return fmt.Errorf("files: %s has more than %d bytes: %w", path, limit, core.ErrTooLarge)
}
