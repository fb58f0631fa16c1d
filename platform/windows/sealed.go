//go:build windows

package windows

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/windows"

	"kpm/core"
	"kpm/platform/windows/file"
)

// errScript is for what only an interpreter can run.
var errScript = fmt.Errorf("Windows runs no script by itself; name its interpreter and the script as an argument: %w", errors.ErrUnsupported)

// sealed is a file or directory that cannot be renamed, removed or, if it is a
// program, written to as long as it is held.
type sealed struct {
	handle windows.Handle
	path   string // the one that the system knows it by
	id     file.ID
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
		s.handle, err = file.Reopen(windows.Handle(fd), access, share, flags)
	})
	if controlErr != nil {
		err = controlErr
	}
	if err != nil {
		return s, fmt.Errorf("hold %s: %w", f.Name(), err)
	}
	if s.path, err = file.PathOf(s.handle); err == nil {
		s.id, err = file.Identify(s.handle)
	}
	if err != nil {
		s.release()
		return sealed{}, fmt.Errorf("hold %s: %w", f.Name(), err)
	}
	return s, nil
}

// imageOf returns the identity of the file that a process was created from.
func imageOf(process windows.Handle) (file.ID, error) {
	name, err := imagePath(process)
	if err != nil {
		return file.ID{}, err
	}
	path, err := windows.UTF16PtrFromString(file.Long(name))
	if err != nil {
		return file.ID{}, err
	}
	handle, err := windows.CreateFile(path, windows.FILE_READ_ATTRIBUTES,
		windows.FILE_SHARE_READ|windows.FILE_SHARE_WRITE|windows.FILE_SHARE_DELETE, nil, windows.OPEN_EXISTING,
		windows.FILE_FLAG_OPEN_REPARSE_POINT, 0)
	if err != nil {
		return file.ID{}, fmt.Errorf("image of the program: %w", err)
	}
	defer windows.CloseHandle(handle)
	return file.Identify(handle)
}

func (s *sealed) release() {
	if s.handle != 0 {
		windows.CloseHandle(s.handle)
		s.handle = 0
	}
}
