//go:build linux

package linux

import (
	"fmt"
	"io"
	"os"
	"path/filepath"

	"kpm/core"
)

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
	fd, at, err := walk(path, func(at place) error {
		if at.link() && at.uid == 0 {
			return nil // the directory it lies in was checked; where it leads is next
		}
		return check(at)
	})
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), at.path)
	if !at.regular() && !at.dir() {
		f.Close()
		return nil, fmt.Errorf("files: %s: %w", at.path, core.ErrNotRegular)
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
