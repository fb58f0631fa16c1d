package file

import (
	"fmt"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"kpm/core"
)

// Files answers the questions of port.Opener and port.Protection that need no more
// than this package.
type Files struct {
	// AgentRoot is the service's directory, without links. What lies in it is
	// Protected also if sticky directories of root's are above it (decision
	// 2). Empty means no such exception.
	AgentRoot string
}

// Locate implements port.Files. It looks into directories of local file systems
// only, since looking a name up anywhere else can wait for ever. The handle can be
// read from: macOS has none that cannot (no O_PATH).
func (Files) Locate(path string) (*os.File, error) {
	fd, at, err := Walk(path, Anywhere)
	return handle(fd, at, err)
}

// handle makes a walk's end a file. A special file has no descriptor.
func handle(fd int, at Place, err error) (*os.File, error) {
	switch {
	case err != nil:
		return nil, err
	case fd < 0:
		return nil, fmt.Errorf("files: %s: %w", at.Path, core.ErrNotRegular)
	}
	return os.NewFile(uintptr(fd), at.Path), nil
}

// Open implements port.Files. A file on a network file system or one in user space
// is refused: its server can leave open(2) and read(2) waiting.
func (Files) Open(f *os.File) (*os.File, error) {
	var opened *os.File
	err := OnDescriptor(f, func(fd int) (err error) {
		opened, err = Reopen(fd)
		return err
	})
	return opened, err
}

// Protected implements port.Files.
func (s Files) Protected(f *os.File) error {
	return OnDescriptor(f, func(fd int) error {
		at, err := WhereIs(fd)
		if err != nil {
			return err
		}
		if !at.Regular() && !at.Dir() {
			return fmt.Errorf("files: %s: %w", at.Path, core.ErrNotRegular)
		}
		end, named, err := Walk(at.Path, Changeable(RootAbove(s.AgentRoot, at.Path)))
		if err != nil {
			return err
		}
		unix.Close(end)
		// The path was walked after the handle was opened: somebody may have
		// put another file there (CVE-2005-1993).
		if !named.Same(at.Node) {
			return Unprotected(at.Path, "names another file now; try again")
		}
		return nil
	})
}

// LocateProtected implements port.Files.
func (s Files) LocateProtected(path string) (*os.File, error) {
	return handle(s.locate(path))
}

// locate walks a way of which every component is protected.
//
// Attack: a script names "#!/Users/u/py", a link to root's own interpreter. What
// the link leads to is Protected, but the kernel follows the link again when it
// executes the script. So the way is checked, not only its end.
func (s Files) locate(path string) (int, Place, error) {
	check := Changeable(RootAbove(s.AgentRoot, path))
	return Walk(path, func(at Place) error {
		if at.Link() && at.UID == 0 {
			return nil // the directory it lies in was checked; where it leads is next
		}
		return check(at)
	})
}

// ReadProtected implements port.Files. What was checked is what is read: the
// descriptor of the walk.
func (s Files) ReadProtected(path string, limit int64) ([]byte, error) {
	fd, at, err := s.locate(path)
	if err != nil {
		return nil, err
	}
	return contents(fd, at, limit)
}

// ProtectedRoot implements port.Files.
func (Files) ProtectedRoot(path string) error {
	end, at, err := Walk(path, Changeable(filepath.Clean(path)))
	if err != nil {
		return err
	}
	unix.Close(end)
	if !at.Dir() {
		return Unprotected(at.Path, "is not a directory; name one")
	}
	return nil
}

// Private implements port.Files.
func (Files) Private(f *os.File) error {
	return OnDescriptor(f, func(fd int) error {
		at, err := WhereIs(fd)
		if err != nil {
			return err
		}
		return Private(at)
	})
}

// contents reads at most limit bytes of the protected file at, and closes fd.
func contents(fd int, at Place, limit int64) ([]byte, error) {
	if err := isA(at, kindFile); err != nil {
		unix.Close(max(fd, -1))
		return nil, err
	}
	f := os.NewFile(uintptr(fd), at.Path)
	defer f.Close()
	// It may grow meanwhile: one byte more than allowed tells.
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, fmt.Errorf("files: read %s: %w", at.Path, err)
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("files: %s has more than %d bytes: %w", at.Path, limit, core.ErrTooLarge)
	}
	return data, nil
}
