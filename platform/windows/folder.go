//go:build windows

package windows

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/windows"
)

// privateFolder is the access list of folders that the service keeps to itself:
// administrators alone, for all that lies in them too. Nothing is inherited from
// above, where people may read.
const privateFolder = "D:P(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)"

// SecureFolders makes the folders below root that hold secrets and records, and
// takes from everybody but administrators what they may do there
// (learn.microsoft.com, "SetNamedSecurityInfoW"). root was checked: nobody else can
// put a link there.
func SecureFolders(root string, names ...string) error {
	for _, name := range names {
		if err := secureFolder(filepath.Join(root, name)); err != nil {
			return fmt.Errorf("secure the folder %s: %w", filepath.Join(root, name), err)
		}
	}
	return nil
}

func secureFolder(path string) error {
	if err := os.Mkdir(path, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	descriptor, err := windows.SecurityDescriptorFromString(privateFolder)
	if err != nil {
		return err
	}
	list, _, err := descriptor.DACL()
	if err != nil {
		return err
	}
	return windows.SetNamedSecurityInfo(path, windows.SE_FILE_OBJECT, windows.DACL_SECURITY_INFORMATION|windows.PROTECTED_DACL_SECURITY_INFORMATION, nil, nil, list, nil)
}
