//go:build windows

package caller

import (
	"os"
	"path/filepath"

	"golang.org/x/sys/windows"

	port "kpm/core/port/caller"
)

// handles implements port.Handles.
type handles struct{}

var _ port.Handles = handles{}

// Directory implements port.Handles. Nobody can rename or remove it meanwhile.
func (handles) Directory() (uintptr, error) {
	dir, err := os.Getwd()
	if err != nil {
		return 0, err
	}
	return open(dir, windows.FILE_READ_ATTRIBUTES|windows.READ_CONTROL, windows.FILE_SHARE_READ|windows.FILE_SHARE_WRITE)
}

// endings are those that a program may be named without.
var endings = []string{"", ".exe", ".com"}

// Program implements port.Handles. The caller must be allowed to execute it.
func (handles) Program(path string) (uintptr, error) {
	var first error
	for _, ending := range endings {
		if ending != "" && filepath.Ext(path) != "" {
			break
		}
		handle, err := open(path+ending, windows.FILE_EXECUTE|windows.FILE_READ_ATTRIBUTES|windows.READ_CONTROL, windows.FILE_SHARE_READ|windows.FILE_SHARE_DELETE)
		if err == nil {
			return handle, nil
		}
		if first == nil {
			first = err
		}
	}
	return 0, first
}

// open opens what lies at path (learn.microsoft.com, "CreateFileW"), a directory
// as well. SYNCHRONIZE comes with it: nothing that the service is handed is
// overlapped.
func open(path string, access, share uint32) (uintptr, error) {
	wide, err := windows.UTF16PtrFromString(path)
	if err != nil {
		return 0, err
	}
	handle, err := windows.CreateFile(wide, access, share, nil, windows.OPEN_EXISTING, windows.FILE_FLAG_BACKUP_SEMANTICS, 0)
	return uintptr(handle), err
}

// Standard implements port.Handles. A stream that this process lacks is the null
// device (learn.microsoft.com, "GetStdHandle").
func (handles) Standard() (all [3]uintptr) {
	for i, number := range []uint32{windows.STD_INPUT_HANDLE, windows.STD_OUTPUT_HANDLE, windows.STD_ERROR_HANDLE} {
		handle, err := windows.GetStdHandle(number)
		if err != nil || handle == 0 || handle == windows.InvalidHandle {
			null, err := open("NUL", windows.GENERIC_READ|windows.GENERIC_WRITE, windows.FILE_SHARE_READ|windows.FILE_SHARE_WRITE)
			if err != nil {
				continue // the service refuses what is no handle, and says so
			}
			handle = windows.Handle(null)
		}
		all[i] = uintptr(handle)
	}
	return all
}

// Close implements port.Handles. The service takes handles out of this process's
// table when it comes to that: they stay, and end with this process.
func (handles) Close(uintptr) {}
