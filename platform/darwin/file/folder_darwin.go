package file

import (
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

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
	check := Changeable(RootAbove(s.AgentRoot, path))
	fd, at, err := stepInto(parent, above, filepath.Base(path), kindDir, check)
	if err != nil {
		return nil, err
	}
	return &Folder{fd: fd, at: at, check: check}, nil
}

// OpenIn opens the regular file at path, which may be anybody's, in a folder that is
// protected like everything above it. path itself is no link.
func (s Files) OpenIn(path string) (*os.File, Place, error) {
	parent, above, err := s.locate(filepath.Dir(path))
	if err != nil {
		return nil, Place{}, err
	}
	defer unix.Close(parent)
	fd, at, err := stepInto(parent, above, filepath.Base(path), kindFile, Anywhere)
	if err != nil {
		return nil, at, err
	}
	return os.NewFile(uintptr(fd), at.Path), at, nil
}

// stepInto opens what name is in a directory: of one kind, and protected.
func stepInto(dir int, above Place, name string, kind uint16, check func(Place) error) (int, Place, error) {
	w, err := here()
	if err != nil {
		return -1, Place{}, err
	}
	fd, at, err := w.step(dir, above.Path, name)
	if err != nil {
		return -1, at, err
	}
	if err = isA(at, kind); err == nil {
		err = check(at)
	}
	if err != nil {
		unix.Close(fd)
		return -1, at, err
	}
	return fd, at, nil
}

// Entries returns what lies in the folder, in no order.
func (f *Folder) Entries() ([]os.DirEntry, error) {
	fd, err := OpenAt(f.fd, ".", unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return nil, pathError(f.at.Path, err)
	}
	dir := os.NewFile(uintptr(fd), f.at.Path)
	defer dir.Close()
	return dir.ReadDir(-1)
}

// Names returns what lies in the folder, directories left out, in no order.
func (f *Folder) Names() ([]string, error) {
	entries, err := f.Entries()
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
	fd, at, err := stepInto(f.fd, f.at, name, kindFile, f.check)
	if err != nil {
		return nil, err
	}
	return contents(fd, at, limit)
}

// Close lets go of the folder.
func (f *Folder) Close() error { return unix.Close(f.fd) }
