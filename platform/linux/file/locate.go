//go:build linux

package file

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"kpm/core"
)

// Locate implements port.Files. It looks into directories of local file
// systems only, since looking a name up anywhere else can wait for ever.
func (Files) Locate(path string) (*os.File, error) {
	fd, at, err := Walk(path, Anywhere)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), at.Path), nil
}

// Open implements port.Files. A file on FUSE is refused with fs.ErrPermission:
// its daemon, which may be the caller's, can leave open(2) and read(2) waiting
// uninterruptibly. On a network file system reads wait for the server.
func (Files) Open(f *os.File) (*os.File, error) {
	var opened *os.File
	err := OnDescriptor(f, func(fd int) error {
		at, err := WhereIs(fd)
		if err != nil {
			return err
		}
		if !at.Regular() {
			return fmt.Errorf("files: %s: %w", at.Path, core.ErrNotRegular)
		}
		if at.Mount.Userspace() {
			return fmt.Errorf("files: %s lies on a %s file system, whose daemon need not answer; copy it to a local one: %w",
				at.Path, at.Mount.Kind, fs.ErrPermission)
		}
		// O_NONBLOCK: a lease that the file's owner holds would otherwise
		// keep us waiting for as long as lease-break-time.
		opened, err = Reopen(fd, at.Path, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY)
		if errors.Is(err, unix.EWOULDBLOCK) {
			return fmt.Errorf("files: %s is in use by another program (lease): %w", at.Path, fs.ErrPermission)
		}
		return err
	})
	return opened, err
}

// LocateProtected implements port.Files.
//
// Attack: a script names "#!/home/u/py", a link to root's own interpreter. What
// the link leads to is Protected, but the kernel follows the link again when it
// executes the script. So the way is checked, not only its end.
func (s Files) LocateProtected(path string) (*os.File, error) {
	root, clean := s.AgentRoot, filepath.Clean(path)
	if clean != root && !strictlyAbove(root, clean) {
		root = ""
	}
	check := vouch(root)
	fd, at, err := Walk(path, func(at Place) error {
		if at.Link() && at.UID == 0 {
			return nil // the directory it lies in was checked; where it leads is next
		}
		return check(at)
	})
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), at.Path)
	if !at.Regular() && !at.Dir() {
		f.Close()
		return nil, fmt.Errorf("files: %s: %w", at.Path, core.ErrNotRegular)
	}
	return f, nil
}

// ReadProtected implements port.Files. What was checked is what is read: the
// handle of the walk is opened again, not the path.
func (s Files) ReadProtected(path string, limit int64) ([]byte, error) {
	handle, err := s.LocateProtected(path)
	if err != nil {
		return nil, err
	}
	defer handle.Close()
	f, err := s.Open(handle)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, fmt.Errorf("files: read %s: %w", path, err)
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("files: %s has more than %d bytes: %w", path, limit, core.ErrTooLarge)
	}
	return data, nil
}
