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
func (s Files) LocateProtected(path string) (*os.File, error) {
	fd, at, err := s.locate(path)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), at.Path), nil
}

// locate walks a way of which every component is protected.
//
// Attack: a script names "#!/home/u/py", a link to root's own interpreter. What
// the link leads to is Protected, but the kernel follows the link again when it
// executes the script. So the way is checked, not only its end.
func (s Files) locate(path string) (int, Place, error) {
	check := refuseChangeable(s.rootAbove(path))
	fd, at, err := Walk(path, func(at Place) error {
		if at.Link() && at.UID == 0 {
			return nil // the directory it lies in was checked; where it leads is next
		}
		return check(at)
	})
	if err == nil && !at.Regular() && !at.Dir() {
		unix.Close(fd)
		return -1, at, fmt.Errorf("files: %s: %w", at.Path, core.ErrNotRegular)
	}
	return fd, at, err
}

// OpenIn opens the regular file at path, to be changed and not read: an O_PATH
// descriptor. The file may be anybody's; the folder that it lies in, and everything
// above that, must be protected, so that nobody else can put another file in its
// place. Links of root's are followed on the way there, but path itself is none.
func (s Files) OpenIn(path string) (*os.File, Place, error) {
	parent, above, err := s.locate(filepath.Dir(path))
	if err != nil {
		return nil, above, err
	}
	defer unix.Close(parent)
	if !above.Dir() {
		return nil, above, pathError(above.Path, unix.ENOTDIR)
	}
	fd, at, err := step(parent, above, filepath.Base(path))
	if err != nil {
		return nil, at, err
	}
	if err = isA(at, unix.S_IFREG); err == nil && (!at.Mount.Local() || at.Mount.image()) {
		err = notLocal(at) // attack: something of a user's is mounted over the file
	}
	if err != nil {
		unix.Close(fd)
		return nil, at, err
	}
	return os.NewFile(uintptr(fd), at.Path), at, nil
}

// rootAbove is the agent root if path is it or lies in it, else empty.
func (s Files) rootAbove(path string) string {
	if clean := filepath.Clean(path); clean == s.AgentRoot || strictlyAbove(s.AgentRoot, clean) {
		return s.AgentRoot
	}
	return ""
}
