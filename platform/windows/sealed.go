//go:build windows

package windows

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"unsafe"

	"golang.org/x/sys/windows"

	"kpm/core"
)

// errScript is for what only an interpreter can run.
var errScript = fmt.Errorf("Windows runs no script by itself; name its interpreter and the script as an argument: %w", errors.ErrUnsupported)

// sealed is a file or directory that cannot be renamed, removed or, if it is a
// program, written to as long as it is held.
type sealed struct {
	handle windows.Handle
	path   string // the one that the system knows it by
	id     fileID
}

// fileID is FILE_ID_INFO: what no two files of a machine have in common
// (learn.microsoft.com, "FILE_ID_INFO"). The 64 bits of
// BY_HANDLE_FILE_INFORMATION are not unique on ReFS.
type fileID struct {
	volume uint64
	id     [16]byte
}

// holdProgram holds a file that will be executed.
//
// Attack: it is written to, or another one is renamed into its place, after it
// was approved and before the system maps it. Sharing for reading alone forbids
// both to everyone, administrators included; somebody who has it open for
// writing already makes this fail.
func holdProgram(f *os.File) (sealed, error) {
	s, err := hold(f, windows.GENERIC_READ, windows.FILE_SHARE_READ, 0)
	if err != nil {
		return sealed{}, err
	}
	var info windows.ByHandleFileInformation
	if err := windows.GetFileInformationByHandle(s.handle, &info); err != nil || info.FileAttributes&windows.FILE_ATTRIBUTE_DIRECTORY != 0 {
		s.release()
		return sealed{}, fmt.Errorf("%s: %w", s.path, core.ErrNotRegular)
	}
	if batch(s.path) {
		s.release()
		return sealed{}, fmt.Errorf("%s: %w", s.path, errScript)
	}
	return s, nil
}

// holdDir holds a working directory: files in it may come and go.
func holdDir(f *os.File) (sealed, error) {
	return hold(f, windows.FILE_READ_ATTRIBUTES, windows.FILE_SHARE_READ|windows.FILE_SHARE_WRITE, windows.FILE_FLAG_BACKUP_SEMANTICS)
}

func hold(f *os.File, access, share, flags uint32) (sealed, error) {
	var s sealed
	raw, err := f.SyscallConn()
	if err != nil {
		return s, err
	}
	controlErr := raw.Control(func(fd uintptr) {
		// Attack: NUL, CON, a pipe, or a stream behind a file's name pass for a file.
		kind, kindErr := windows.GetFileType(windows.Handle(fd))
		if kindErr != nil || kind != windows.FILE_TYPE_DISK {
			err = fmt.Errorf("%s: %w", f.Name(), core.ErrNotRegular)
			return
		}
		s.handle, err = reopen(windows.Handle(fd), access, share, flags)
	})
	if controlErr != nil {
		err = controlErr
	}
	if err != nil {
		return s, fmt.Errorf("hold %s: %w", f.Name(), err)
	}
	if s.path, err = pathOf(s.handle); err == nil {
		s.id, err = identify(s.handle)
	}
	if err != nil {
		s.release()
		return sealed{}, fmt.Errorf("hold %s: %w", f.Name(), err)
	}
	return s, nil
}

// reopen opens what a handle is open on, whatever its path names by now
// (learn.microsoft.com, "ReOpenFile").
func reopen(handle windows.Handle, access, share, flags uint32) (windows.Handle, error) {
	proc := windows.NewLazySystemDLL("kernel32.dll").NewProc("ReOpenFile")
	opened, _, err := proc.Call(uintptr(handle), uintptr(access), uintptr(share), uintptr(flags))
	if windows.Handle(opened) == windows.InvalidHandle {
		if err == windows.ERROR_SHARING_VIOLATION {
			err = fmt.Errorf("%w: somebody has it open for writing, or to rename it; try again when that program has ended", err)
		}
		return 0, err
	}
	return windows.Handle(opened), nil
}

// pathOf returns the path of an open file on a drive of this machine
// (learn.microsoft.com, "GetFinalPathNameByHandleW"): links, junctions, 8.3
// names, and \\?\ are resolved.
func pathOf(handle windows.Handle) (string, error) {
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

// identify returns the identity of an open file (learn.microsoft.com,
// "GetFileInformationByHandleEx").
func identify(handle windows.Handle) (fileID, error) {
	var id fileID
	err := windows.GetFileInformationByHandleEx(handle, windows.FileIdInfo, (*byte)(unsafe.Pointer(&id)), uint32(unsafe.Sizeof(id)))
	if err != nil {
		return fileID{}, fmt.Errorf("file id: %w", err)
	}
	return id, nil
}

// imageOf returns the identity of the file that a process was created from
// (learn.microsoft.com, "QueryFullProcessImageNameW").
func imageOf(process windows.Handle) (fileID, error) {
	buffer := make([]uint16, 32768)
	n := uint32(len(buffer))
	if err := windows.QueryFullProcessImageName(process, 0, &buffer[0], &n); err != nil {
		return fileID{}, fmt.Errorf("image of the program: %w", err)
	}
	path, err := windows.UTF16PtrFromString(long(windows.UTF16ToString(buffer[:n])))
	if err != nil {
		return fileID{}, err
	}
	handle, err := windows.CreateFile(path, windows.FILE_READ_ATTRIBUTES,
		windows.FILE_SHARE_READ|windows.FILE_SHARE_WRITE|windows.FILE_SHARE_DELETE, nil, windows.OPEN_EXISTING,
		windows.FILE_FLAG_OPEN_REPARSE_POINT, 0)
	if err != nil {
		return fileID{}, fmt.Errorf("image of the program: %w", err)
	}
	defer windows.CloseHandle(handle)
	return identify(handle)
}

// long is path in the form that has no limit and is not interpreted.
func long(path string) string {
	if strings.HasPrefix(path, `\\`) {
		return path
	}
	return `\\?\` + path
}

func (s *sealed) release() {
	if s.handle != 0 {
		windows.CloseHandle(s.handle)
		s.handle = 0
	}
}
