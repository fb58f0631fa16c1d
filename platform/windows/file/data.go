//go:build windows

package file

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"unsafe"

	"golang.org/x/sys/windows"

	"kpm/core"
)

// lists is the access that a handle has by which an access list is read and changed.
const lists = look | windows.WRITE_DAC

// OpenListed opens the regular file at path, to read and change who may do what with
// it. The last name is no link, and others than administrators can change nothing on
// the way to it; the file itself may be anybody's.
//
// Attack: the owner of the folder puts another file, or a link to one, in its place
// between a look and the change.
func (Files) OpenListed(path string) (*os.File, error) {
	path = filepath.Clean(path)
	folder, err := walk(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	defer windows.CloseHandle(folder)
	if _, err := localVolume(path); err != nil { // a stream of a file
		return nil, err
	}
	handle, err := open(path, lists, ShareAll, false)
	if err != nil {
		return nil, err
	}
	return regular(handle, path)
}

// regular makes a file of a handle, which is closed if it is of something else.
func regular(handle windows.Handle, path string) (*os.File, error) {
	info, err := attributesOf(handle)
	if err == nil && (isDir(info) || isLink(info)) {
		err = core.ErrNotRegular
	}
	if err != nil {
		windows.CloseHandle(handle)
		return nil, fmt.Errorf("files: %s: %w", path, err)
	}
	return os.NewFile(uintptr(handle), path), nil
}

// fileIDDescriptor is FILE_ID_DESCRIPTOR with the type ExtendedFileIdType.
type fileIDDescriptor struct {
	size, kind uint32
	id         [16]byte
}

const extendedFileID = 2

// OpenID opens the file that has that identity, wherever it lies, as OpenListed does
// (learn.microsoft.com, "OpenFileById"). path is where it lay. The error wraps
// fs.ErrNotExist if its volume says that there is no such file.
func (Files) OpenID(id ID, path string) (*os.File, error) {
	volume, err := open(filepath.VolumeName(Short(path))+`\`, windows.FILE_READ_ATTRIBUTES, ShareAll, true)
	if err != nil {
		return nil, err
	}
	defer windows.CloseHandle(volume)
	if at, err := Identify(volume); err != nil || at.Volume != id.Volume {
		return nil, Unprotected(path, "lay on a disk that is not there now; put it back")
	}
	wanted := fileIDDescriptor{size: uint32(unsafe.Sizeof(fileIDDescriptor{})), kind: extendedFileID, id: id.File}
	proc := windows.NewLazySystemDLL("kernel32.dll").NewProc("OpenFileById")
	found, _, err := proc.Call(uintptr(volume), uintptr(unsafe.Pointer(&wanted)), lists, ShareAll, 0,
		windows.FILE_FLAG_OPEN_REPARSE_POINT|windows.FILE_FLAG_BACKUP_SEMANTICS)
	switch handle := windows.Handle(found); {
	case handle != windows.InvalidHandle:
		return regular(handle, path)
	// The second is what NTFS says of an identity that no file has.
	case err == windows.ERROR_FILE_NOT_FOUND || err == windows.ERROR_INVALID_PARAMETER:
		return nil, fmt.Errorf("files: the file that was %s: %w: %w", path, err, fs.ErrNotExist)
	}
	return nil, fmt.Errorf("files: open the file that was %s by its identity: %w", path, err)
}
