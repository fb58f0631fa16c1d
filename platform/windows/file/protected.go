//go:build windows

package file

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"unsafe"

	"golang.org/x/sys/windows"

	"kpm/core"
)

// Files answers the questions of port.Protection that need no more than this
// package.
type Files struct{}

// Protected implements port.Files.
func (Files) Protected(f *os.File) error {
	return OnHandle(f, func(handle windows.Handle) error {
		path, err := PathOf(handle)
		if err != nil {
			return Unprotected(f.Name(), err.Error())
		}
		id, err := Identify(handle)
		if err != nil {
			return fmt.Errorf("files: %s: %w", path, err)
		}
		end, err := walk(path)
		if err != nil {
			return err
		}
		defer windows.CloseHandle(end)
		// The path was walked after the handle was opened: somebody may have put
		// another file there (CVE-2005-1993).
		if named, err := Identify(end); err != nil || named != id {
			return Unprotected(path, "names another file now; try again")
		}
		return otherNames(end, path)
	})
}

// ProtectedRoot implements port.Protection.
func (Files) ProtectedRoot(path string) error {
	end, err := walk(filepath.Clean(path))
	if err != nil {
		return err
	}
	defer windows.CloseHandle(end)
	info, err := attributesOf(end)
	if err != nil {
		return fmt.Errorf("files: %s: %w", path, err)
	}
	if !isDir(info) {
		return Unprotected(path, "is not a directory; name one")
	}
	return nil
}

// Private implements port.Protection.
func (Files) Private(f *os.File) error {
	return OnHandle(f, func(handle windows.Handle) error {
		path, err := PathOf(handle)
		if err != nil {
			return err
		}
		again, err := Reopen(handle, look, ShareAll, 0)
		if err != nil {
			return fmt.Errorf("files: %s: %w", path, err)
		}
		defer windows.CloseHandle(again)
		info, err := attributesOf(again)
		if err != nil || isDir(info) {
			return fmt.Errorf("files: %s: %w", path, core.ErrNotRegular)
		}
		return forbid(again, path, changes|reads)
	})
}

// walk opens what lies at path, which is absolute and clean, and refuses the
// first directory on the way, or what is found, that others than administrators
// can change, that is a link, or that lies on no fixed disk of this machine.
func walk(path string) (windows.Handle, error) {
	rest, err := localVolume(path)
	if err != nil {
		return 0, err
	}
	at := Short(path)[:len(`C:\`)]
	parts := []string{}
	if rest != "" {
		parts = strings.Split(rest, `\`)
	}
	for i := 0; ; i++ {
		handle, err := open(at, look, ShareAll, false)
		if err != nil {
			return 0, err
		}
		// What a program lies beside is as good as a part of it.
		if err := judge(handle, at, i < len(parts)-1); err != nil || i == len(parts) {
			if err != nil {
				windows.CloseHandle(handle)
				handle = 0
			}
			return handle, err
		}
		windows.CloseHandle(handle)
		at = filepath.Join(at, parts[i])
	}
}

// judge refuses what can be changed by others, or replaced if it is but passed
// through.
func judge(handle windows.Handle, at string, passed bool) error {
	info, err := attributesOf(handle)
	if err != nil {
		return fmt.Errorf("files: %s: %w", at, err)
	}
	// Attack: a junction or mount point that a user aims elsewhere later on.
	if isLink(info) {
		return Unprotected(at, "is a link or junction; name what it leads to")
	}
	mask := windows.ACCESS_MASK(changes)
	if passed {
		mask = steers
	}
	return forbid(handle, at, mask)
}

// localVolume returns path below its drive, which must be a fixed disk of this
// machine that keeps access rights (learn.microsoft.com, "GetDriveTypeW",
// "GetVolumeInformationW").
//
// Attack: a stick, a disk image or a share, on which files have whatever owners
// its maker chose.
func localVolume(path string) (string, error) {
	local := Short(path)
	if len(local) < 3 || local[1] != ':' || local[2] != '\\' || strings.Contains(local[2:], ":") {
		return "", Unprotected(path, "is no path on a drive of this machine; name one, such as C:\\Tools\\x.exe")
	}
	root, err := windows.UTF16PtrFromString(local[:3])
	if err != nil {
		return "", err
	}
	if kind := windows.GetDriveType(root); kind != windows.DRIVE_FIXED {
		return "", Unprotected(path, "does not lie on a fixed disk of this machine; copy it to one")
	}
	var flags uint32
	if err := windows.GetVolumeInformation(root, nil, 0, nil, nil, &flags, nil, 0); err != nil {
		return "", fmt.Errorf("files: volume of %s: %w", path, err)
	}
	if flags&windows.FILE_PERSISTENT_ACLS == 0 {
		return "", Unprotected(path, "lies on a disk that keeps no access rights, such as one with FAT; copy it to one with NTFS")
	}
	return local[3:], nil
}

// otherNames refuses a file that has a name in a directory which others can
// change (learn.microsoft.com, "FindFirstFileNameW").
//
// Attack: a hard link to a program of the system in a user's directory, beside
// which the user lays a library for it. What has one name needs no look.
func otherNames(handle windows.Handle, path string) error {
	info, err := attributesOf(handle)
	if err != nil {
		return fmt.Errorf("files: %s: %w", path, err)
	}
	if info.NumberOfLinks <= 1 || isDir(info) {
		return nil
	}
	names, err := namesOf(path)
	if err != nil {
		return Unprotected(path, fmt.Sprintf("has %d names, which cannot be found out: %v", info.NumberOfLinks, err))
	}
	for _, other := range names {
		parent, err := walk(filepath.Dir(filepath.Join(Short(path)[:len(`C:\`)], other)))
		if err != nil {
			return Unprotected(path, fmt.Sprintf("is also called %s: %v", other, err))
		}
		windows.CloseHandle(parent)
	}
	return nil
}

// maxNames is the most that NTFS gives one file.
const maxNames = 1024

// namesOf returns all names of a file, each below its volume.
func namesOf(path string) (names []string, err error) {
	wide, err := windows.UTF16PtrFromString(Long(path))
	if err != nil {
		return nil, err
	}
	kernel32 := windows.NewLazySystemDLL("kernel32.dll")
	buffer := make([]uint16, 32768)
	size := uint32(len(buffer))
	find, _, err := kernel32.NewProc("FindFirstFileNameW").Call(uintptr(unsafe.Pointer(wide)), 0, uintptr(unsafe.Pointer(&size)), uintptr(unsafe.Pointer(&buffer[0])))
	if windows.Handle(find) == windows.InvalidHandle {
		return nil, err
	}
	defer windows.FindClose(windows.Handle(find))
	next := kernel32.NewProc("FindNextFileNameW")
	for len(names) < maxNames {
		names = append(names, windows.UTF16ToString(buffer))
		size = uint32(len(buffer))
		if ok, _, err := next.Call(find, uintptr(unsafe.Pointer(&size)), uintptr(unsafe.Pointer(&buffer[0]))); ok == 0 {
			if err == windows.ERROR_HANDLE_EOF {
				return names, nil
			}
			return nil, err
		}
	}
	return nil, fmt.Errorf("there are more than %d", maxNames)
}
