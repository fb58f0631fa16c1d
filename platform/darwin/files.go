//go:build darwin

package darwin

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"kpm/core"
	"kpm/core/port"
	"kpm/platform/darwin/file"
)

// Files opens, checks and copies programs. It asks nothing that a file system in
// user space could refuse to answer.
type Files struct {
	file.Files
}

var _ port.Files = Files{}

// Find implements port.Files.
func (Files) Find(name string) (*os.File, error) { return find(core.MacOS.SecurePath(), name) }

func find(dirs []string, name string) (*os.File, error) {
	if name == "" || name == "." || name == ".." || strings.ContainsAny(name, "/\x00") {
		return nil, fmt.Errorf("files: %q is not a bare command name: %w", name, fs.ErrNotExist)
	}
	found := fs.ErrNotExist
	for _, dir := range dirs {
		fd, at, err := file.Walk(dir+"/"+name, file.Anywhere)
		switch {
		case err == nil:
		case errors.Is(err, fs.ErrNotExist), errors.Is(err, fs.ErrPermission), errors.Is(err, core.ErrNotProtected):
			continue
		default: // it cannot be said whether it is there
			return nil, err
		}
		if at.Regular() && at.Mode&0o111 != 0 {
			return os.NewFile(uintptr(fd), at.Path), nil
		}
		unix.Close(fd) // of a special file there is none, which is no harm
		if at.Regular() {
			found = fs.ErrPermission // as execvp(3): not executable, look further
		}
	}
	return nil, fmt.Errorf("files: no program %q in %s: %w", name, strings.Join(dirs, ":"), found)
}

// Inspect implements port.Files.
func (Files) Inspect(f *os.File) (port.FileInfo, error) {
	var info port.FileInfo
	err := onDescriptor(f, func(fd int) error {
		at, err := file.WhereIs(fd)
		if err != nil {
			return err
		}
		info = infoOf(at)
		return nil
	})
	return info, err
}

func infoOf(at file.Place) port.FileInfo {
	return port.FileInfo{
		Path: at.Path, Device: at.Dev, Inode: at.Inode, Size: at.Size, Change: at.Change, Regular: at.Regular(), Dir: at.Dir(),
		Links: int(at.Links), Exec: at.Mode&0o111 != 0, Owner: userID(at.UID),
	}
}
