//go:build linux

package linux

import (
	"fmt"
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
