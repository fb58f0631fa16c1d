//go:build windows

package file

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/sys/windows"
)

// private is the access list of folders that the service keeps to itself: its own
// SID and administrators alone, for all that lies in them too. Nothing is inherited
// from above, where people may read.
const private = "D:P(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICI;FA;;;" + Service + ")"

// MakePrivate makes the folder at path if there is none, and takes from everybody
// but administrators what they may do there (learn.microsoft.com,
// "SetNamedSecurityInfoW"). The caller has checked what it lies in: nobody else
// can put a link there.
func MakePrivate(path string) error {
	if err := os.Mkdir(path, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	descriptor, err := windows.SecurityDescriptorFromString(private)
	if err != nil {
		return err
	}
	list, _, err := descriptor.DACL()
	if err != nil {
		return err
	}
	err = windows.SetNamedSecurityInfo(path, windows.SE_FILE_OBJECT, windows.DACL_SECURITY_INFORMATION|windows.PROTECTED_DACL_SECURITY_INFORMATION, nil, nil, list, nil)
	if err != nil {
		return fmt.Errorf("access list of %s: %w", path, err)
	}
	return nil
}
