package owner

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"kpm/platform/windows/file"
)

// Folder makes the folder at dir if there is none, for administrators alone, and
// returns its path. It is refused (ErrFolder) if somebody else could put links
// into it, or another folder in its place, and if there is a link on the way.
//
// Attack: a user replaces a log by a link to a file of the system's, and has
// lines of theirs appended to it.
func Folder(dir string) (string, error) {
	dir = filepath.Clean(dir)
	switch _, err := os.Stat(dir); {
	case errors.Is(err, fs.ErrNotExist):
		if err := os.MkdirAll(filepath.Dir(dir), 0o750); err != nil {
			return "", err
		}
		// Where it will lie is looked at before: whoever could put a link there
		// would say whose access list is set.
		if err := (file.Files{}).ProtectedRoot(filepath.Dir(dir)); err != nil {
			return "", fmt.Errorf("%w: %w", ErrFolder, err)
		}
		if err := file.MakePrivate(dir); err != nil {
			return "", err
		}
	case err != nil:
		return "", err
	}
	if err := (file.Files{}).ProtectedRoot(dir); err != nil {
		return "", fmt.Errorf("%w: %w", ErrFolder, err)
	}
	return dir, nil
}
