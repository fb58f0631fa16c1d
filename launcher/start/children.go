package start

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"kpm/core"
	"kpm/core/port"
)

// maxGroup bounds the name of a launch group, in bytes.
const maxGroup = 8 << 10

// children remembers which plugins and tasks run: one file for each, named
// after the process, that holds the name of its launch group. A service that
// was killed leaves them running, and the next one must not have two of a
// plugin, one of which is nobody's. The files need not survive a power loss,
// which no process does.
type children struct{ dir string }

func (c children) path(id core.ProcessID) string {
	return filepath.Join(c.dir, fmt.Sprintf("%d-%d", id.PID, id.Start))
}

func (c children) add(id core.ProcessID, group string) error {
	if err := os.Mkdir(c.dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return os.WriteFile(c.path(id), []byte(group), 0o600)
}

func (c children) remove(id core.ProcessID) error {
	if err := os.Remove(c.path(id)); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// end ends what remains of every group, and says of which processes it was.
func (c children) end(tree port.ProcessTree) (ended []core.ProcessID, err error) {
	entries, err := os.ReadDir(c.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	for _, entry := range entries {
		path := filepath.Join(c.dir, entry.Name())
		id, group, broken := readChild(path)
		if broken == nil && !tree.Empty(id, group) {
			ended = append(ended, id)
			_, broken = tree.KillGroups(port.Group{Root: id, Name: group})
		}
		err = errors.Join(err, broken, os.Remove(path))
	}
	return ended, err
}

func readChild(path string) (id core.ProcessID, group string, err error) {
	name := filepath.Base(path)
	if _, err := fmt.Sscanf(name, "%d-%d", &id.PID, &id.Start); err != nil || id.PID <= 1 || name != filepath.Base((children{}).path(id)) {
		return id, "", fmt.Errorf("%s names no process", path)
	}
	data, err := os.ReadFile(path)
	if err == nil && (len(data) == 0 || len(data) > maxGroup || strings.ContainsRune(string(data), 0)) {
		err = fmt.Errorf("%s names no launch group", path)
	}
	return id, string(data), err
}
