package files

import (
	"fmt"

	"golang.org/x/sys/unix"

	"kpm/platform/linux/file"
)

// Resolve follows an absolute path, with every link, to what exists, and returns
// that object's own path. Every object on the way, links among them, is shown to
// visit, with whether it is a link, and whether the administrator alone can change
// it. No daemon of a file system is asked anything, so that it does not block.
func Resolve(path string, visit func(at string, link, protected bool)) (string, error) {
	fd, at, err := file.Walk(path, func(at file.Place) error {
		if visit != nil {
			visit(at.Path, at.Link(), at.UID == 0 && (at.Link() || at.Mode&0o022 == 0) && at.Mount.Local())
		}
		return nil
	})
	if err != nil {
		return "", err
	}
	defer unix.Close(fd)
	if !at.Regular() && !at.Dir() || !at.Mount.Local() {
		return "", fmt.Errorf("files: %s is no file or directory of a local file system", at.Path)
	}
	return at.Path, nil
}
