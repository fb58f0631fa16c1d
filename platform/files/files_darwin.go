package files

import (
	"fmt"
	"path/filepath"

	"golang.org/x/sys/unix"

	"kpm/platform/darwin/file"
)

// Folder reads the files of one folder.
type Folder = file.Folder

// Open opens the folder at path, which administrators alone can change like
// everything above it. agentRoot is the service's directory, absolute and
// without links. Errors wrap core.ErrNotProtected, fs.ErrNotExist or
// errors.ErrUnsupported.
func Open(agentRoot, path string) (*Folder, error) {
	return file.Files{AgentRoot: filepath.Clean(agentRoot)}.OpenFolder(path)
}

// Resolve follows an absolute path, with every link, to what exists, and returns
// that object's own path. Every object on the way, links among them, is shown to
// visit, with whether it is a link, and whether the administrator alone can change
// it. No server of a file system is asked anything, so that it does not block.
func Resolve(path string, visit func(at string, link, protected bool)) (string, error) {
	alone := file.Changeable("")
	fd, at, err := file.Walk(path, func(at file.Place) error {
		if visit != nil {
			visit(at.Path, at.Link(), at.Link() && at.UID == 0 || alone(at) == nil)
		}
		return nil
	})
	if err != nil {
		return "", err
	}
	if fd >= 0 {
		unix.Close(fd)
	}
	if !at.Regular() && !at.Dir() {
		return "", fmt.Errorf("files: %s is no file or directory of a local file system", at.Path)
	}
	return at.Path, nil
}
