//go:build windows

package windows

import (
	"fmt"
	"path/filepath"

	"kpm/platform/windows/file"
)

// SecureFolders makes the folders below root that hold secrets and records, and
// takes from everybody but administrators what they may do there. root was
// checked: nobody else can put a link there.
func SecureFolders(root string, names ...string) error {
	for _, name := range names {
		if err := file.MakePrivate(filepath.Join(root, name)); err != nil {
			return fmt.Errorf("secure the folder %s: %w", filepath.Join(root, name), err)
		}
	}
	return nil
}
