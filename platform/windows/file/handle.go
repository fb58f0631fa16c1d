//go:build windows

package file

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"unsafe"

	"golang.org/x/sys/windows"

	"kpm/core"
)

// Share is what others may do with a file while a handle of it is open.
const (
	ShareAll  = windows.FILE_SHARE_READ | windows.FILE_SHARE_WRITE | windows.FILE_SHARE_DELETE
	ShareRead = windows.FILE_SHARE_READ
)

// look is the access that a handle which cannot be read from has.
const look = windows.FILE_READ_ATTRIBUTES | windows.READ_CONTROL | windows.SYNCHRONIZE

// ID is FILE_ID_INFO: what no two files of a machine have in common
// (learn.microsoft.com, "FILE_ID_INFO"). The 64 bits of
// BY_HANDLE_FILE_INFORMATION are not unique on ReFS.
type ID struct {
	Volume uint64
	File   [16]byte
}

// Identify returns the identity of an open file (learn.microsoft.com,
// "GetFileInformationByHandleEx").
func Identify(handle windows.Handle) (ID, error) {
	var id ID
	err := windows.GetFileInformationByHandleEx(handle, windows.FileIdInfo, (*byte)(unsafe.Pointer(&id)), uint32(unsafe.Sizeof(id)))
	if err != nil {
		return ID{}, fmt.Errorf("file id: %w", err)
	}
	return id, nil
}

// PathOf returns the path of an open file on a drive of this machine
// (learn.microsoft.com, "GetFinalPathNameByHandleW"): links, junctions, 8.3
// names, and \\?\ are resolved.
func PathOf(handle windows.Handle) (string, error) {
	buffer := make([]uint16, 512)
	for {
		n, err := windows.GetFinalPathNameByHandle(handle, &buffer[0], uint32(len(buffer)), 0)
		if err != nil {
			return "", fmt.Errorf("path: %w", err)
		}
		if int(n) < len(buffer) {
			buffer = buffer[:n]
			break
		}
		buffer = make([]uint16, n+1)
	}
	return onDrive(windows.UTF16ToString(buffer))
}

// onDrive returns a resolved path in the form that programs are used to.
func onDrive(path string) (string, error) {
	local, ok := strings.CutPrefix(path, `\\?\`)
	if !ok || len(local) < 3 || local[1] != ':' {
		return "", fmt.Errorf("%s does not lie on a drive of this machine: %w; copy it to one", path, core.ErrNotProtected)
	}
	// Attack: an alternate data stream, which no list of files shows.
	if strings.Contains(local[2:], ":") {
		return "", fmt.Errorf("%s is a stream of another file: %w", path, core.ErrNotRegular)
	}
	if len(local) < windows.MAX_PATH-12 {
		return local, nil // many programs cannot do anything with the long form
	}
	return path, nil
}

// Long is path in the form that has no limit and is not interpreted: no device
// is behind the name CON, and no stream behind a colon.
func Long(path string) string {
	if strings.HasPrefix(path, `\\`) {
		return path
	}
	return `\\?\` + path
}

// Short is path without what Long puts before it.
func Short(path string) string { return strings.TrimPrefix(path, `\\?\`) }

// open opens what lies at path, a directory as well; a link itself unless follow
// is true (learn.microsoft.com, "CreateFileW").
func open(path string, access, share uint32, follow bool) (windows.Handle, error) {
	wide, err := windows.UTF16PtrFromString(Long(path))
	if err != nil {
		return 0, fmt.Errorf("files: %q has a NUL: %w", path, fs.ErrNotExist)
	}
	flags := uint32(windows.FILE_FLAG_BACKUP_SEMANTICS)
	if !follow {
		flags |= windows.FILE_FLAG_OPEN_REPARSE_POINT
	}
	handle, err := windows.CreateFile(wide, access, share, nil, windows.OPEN_EXISTING, flags, 0)
	if err != nil {
		return 0, fmt.Errorf("files: open %s: %w", path, busy(err))
	}
	return handle, nil
}

// busy says what can be done about a file that somebody else keeps for themselves.
func busy(err error) error {
	if err == windows.ERROR_SHARING_VIOLATION {
		return fmt.Errorf("%w: somebody has it open for writing, or to rename it; try again when that program has ended", err)
	}
	return err
}

// Reopen opens what a handle is open on, whatever its path names by now
// (learn.microsoft.com, "ReOpenFile").
func Reopen(handle windows.Handle, access, share, flags uint32) (windows.Handle, error) {
	proc := windows.NewLazySystemDLL("kernel32.dll").NewProc("ReOpenFile")
	opened, _, err := proc.Call(uintptr(handle), uintptr(access), uintptr(share), uintptr(flags))
	if windows.Handle(opened) == windows.InvalidHandle {
		return 0, busy(err)
	}
	return windows.Handle(opened), nil
}

// OnHandle calls use with f's handle, which must be a file's or directory's.
//
// Attack: NUL, CON, a pipe, or a stream behind a file's name pass for a file.
func OnHandle(f *os.File, use func(windows.Handle) error) error {
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	controlErr := raw.Control(func(fd uintptr) {
		kind, kindErr := windows.GetFileType(windows.Handle(fd))
		if kindErr != nil || kind != windows.FILE_TYPE_DISK {
			err = fmt.Errorf("files: %s: %w", f.Name(), core.ErrNotRegular)
			return
		}
		err = use(windows.Handle(fd))
	})
	return errors.Join(controlErr, err)
}

// attributesOf returns the attributes of an open file (learn.microsoft.com,
// "GetFileInformationByHandle").
func attributesOf(handle windows.Handle) (windows.ByHandleFileInformation, error) {
	var info windows.ByHandleFileInformation
	if err := windows.GetFileInformationByHandle(handle, &info); err != nil {
		return info, fmt.Errorf("attributes: %w", err)
	}
	return info, nil
}

func isDir(info windows.ByHandleFileInformation) bool {
	return info.FileAttributes&windows.FILE_ATTRIBUTE_DIRECTORY != 0
}

func isLink(info windows.ByHandleFileInformation) bool {
	return info.FileAttributes&windows.FILE_ATTRIBUTE_REPARSE_POINT != 0
}
