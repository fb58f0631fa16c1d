//go:build windows

package windows

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
	"unsafe"

	"golang.org/x/sys/windows"

	"kpm/core"
	"kpm/core/port"
	"kpm/platform/windows/file"
)

// Files opens, checks and copies programs.
type Files struct{ file.Files }

var _ port.Files = Files{}

// programs are the endings of names that the system starts by itself.
var programs = []string{".exe", ".com"}

// Find implements port.Opener. A name without ending is one of a program's.
func (f Files) Find(name string) (*os.File, error) {
	if !core.Windows.IsBareName(name) || name != filepath.Base(name) || name == "." || name == ".." || strings.ContainsRune(name, 0) {
		return nil, fmt.Errorf("files: %q is not a bare command name: %w", name, fs.ErrNotExist)
	}
	names := []string{name}
	if filepath.Ext(name) == "" {
		names = nil
		for _, ending := range programs {
			names = append(names, name+ending)
		}
	}
	for _, dir := range systemPath() {
		for _, name := range names {
			found, err := f.Locate(filepath.Join(dir, name))
			if err != nil {
				continue
			}
			if info, err := f.Inspect(found); err == nil && info.Exec {
				return found, nil
			}
			found.Close()
		}
	}
	return nil, fmt.Errorf("files: no program %q in %s: %w", name, core.Windows.PathVariable(), fs.ErrNotExist)
}

// systemPath is where bare names are looked for: the system's own directory, and
// that of Windows (learn.microsoft.com, "GetSystemDirectoryW").
func systemPath() []string { return []string{systemDirectory(), filepath.Dir(systemDirectory())} }

// fileBasicInfo is FILE_BASIC_INFO (learn.microsoft.com).
type fileBasicInfo struct {
	created, accessed, written, changed int64
	attributes                          uint32
	_                                   uint32
}

// Inspect implements port.Opener. The inode is the identity of the file in its
// volume, folded to 64 bits, which on NTFS is all of it.
func (Files) Inspect(f *os.File) (port.FileInfo, error) {
	var info port.FileInfo
	err := file.OnHandle(f, func(handle windows.Handle) error {
		path, err := file.PathOf(handle)
		if err != nil {
			return fmt.Errorf("files: %s: %w", f.Name(), err)
		}
		id, err := file.Identify(handle)
		if err != nil {
			return fmt.Errorf("files: %s: %w", path, err)
		}
		var basic fileBasicInfo
		if err := windows.GetFileInformationByHandleEx(handle, windows.FileBasicInfo, (*byte)(unsafe.Pointer(&basic)), uint32(unsafe.Sizeof(basic))); err != nil {
			return fmt.Errorf("files: times of %s: %w", path, err)
		}
		var by windows.ByHandleFileInformation
		if err := windows.GetFileInformationByHandle(handle, &by); err != nil {
			return fmt.Errorf("files: %s: %w", path, err)
		}
		dir := by.FileAttributes&windows.FILE_ATTRIBUTE_DIRECTORY != 0
		info = port.FileInfo{
			Path: path, Device: id.Volume, Inode: folded(id.File), Size: int64(by.FileSizeHigh)<<32 | int64(by.FileSizeLow),
			Change: filetime(basic.changed), Regular: !dir, Dir: dir, Links: int(by.NumberOfLinks), Exec: !dir && isProgram(path),
		}
		// What the caller opened may not let its owner be seen.
		again, err := file.Reopen(handle, windows.READ_CONTROL, file.ShareAll, windows.FILE_FLAG_BACKUP_SEMANTICS)
		if err != nil {
			return fmt.Errorf("files: %s: %w", path, err)
		}
		defer windows.CloseHandle(again)
		if info.Owner, err = file.Owner(again); err != nil {
			return fmt.Errorf("files: owner of %s: %w", path, err)
		}
		return nil
	})
	return info, err
}

func isProgram(path string) bool {
	for _, ending := range programs {
		if strings.EqualFold(filepath.Ext(path), ending) {
			return true
		}
	}
	return false
}

func folded(id [16]byte) (n uint64) {
	for i, b := range id {
		n ^= uint64(b) << (8 * (i % 8))
	}
	return n
}

// filetime is a number of 100 ns since 1601 as a time.
func filetime(n int64) time.Time {
	return time.Unix(0, (&windows.Filetime{HighDateTime: uint32(n >> 32), LowDateTime: uint32(n)}).Nanoseconds())
}

// WriteAtomic implements port.Storage (learn.microsoft.com, "MoveFileExW",
// MOVEFILE_WRITE_THROUGH). Without rights for others in perm, administrators alone
// can read the file; with them, whoever can read the directory.
func (Files) WriteAtomic(path string, data []byte, perm os.FileMode) error {
	if err := writeAtomic(path, data, perm); err != nil {
		return fmt.Errorf("files: write %s: %w", path, err)
	}
	return nil
}

// Replace implements port.Storage. Nobody waits here so often that less would be worth a
// second way.
func (f Files) Replace(path string, data []byte, perm os.FileMode) error {
	return f.WriteAtomic(path, data, perm)
}

func writeAtomic(path string, data []byte, perm os.FileMode) (err error) {
	security := ""
	if perm&0o077 == 0 {
		security = privateFile
	}
	fresh := path + ".new"
	out, err := create(fresh, windows.CREATE_ALWAYS, 0, security)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(fresh))
		}
	}()
	_, err = out.Write(data)
	if err == nil {
		err = out.Sync()
	}
	if err = errors.Join(err, out.Close()); err != nil {
		return err
	}
	from, err := windows.UTF16PtrFromString(file.Long(fresh))
	if err != nil {
		return err
	}
	to, err := windows.UTF16PtrFromString(file.Long(path))
	if err != nil {
		return err
	}
	// Somebody may be reading the old one, such as a virus scanner.
	for try := 0; ; try++ {
		err = windows.MoveFileEx(from, to, windows.MOVEFILE_REPLACE_EXISTING|windows.MOVEFILE_WRITE_THROUGH)
		if err != windows.ERROR_SHARING_VIOLATION && err != windows.ERROR_ACCESS_DENIED || try == replaceTries {
			return err
		}
		time.Sleep(replacePause)
	}
}

const (
	replaceTries = 50
	replacePause = 10 * time.Millisecond
)

// privateFile is the descriptor of what administrators alone may read.
const privateFile = "O:BAG:BAD:P(A;;FA;;;SY)(A;;FA;;;BA)"

// create makes a file (learn.microsoft.com, "CreateFileW"). An empty security has
// it inherit the directory's.
func create(path string, disposition, share uint32, security string) (*os.File, error) {
	wide, err := windows.UTF16PtrFromString(file.Long(path))
	if err != nil {
		return nil, err
	}
	var attributes *windows.SecurityAttributes
	if security != "" {
		descriptor, err := windows.SecurityDescriptorFromString(security)
		if err != nil {
			return nil, fmt.Errorf("descriptor: %w", err)
		}
		attributes = &windows.SecurityAttributes{Length: uint32(unsafe.Sizeof(windows.SecurityAttributes{})), SecurityDescriptor: descriptor}
	}
	const flags = windows.FILE_ATTRIBUTE_NORMAL | windows.FILE_FLAG_OPEN_REPARSE_POINT
	handle, err := windows.CreateFile(wide, windows.GENERIC_READ|windows.GENERIC_WRITE, share, attributes, disposition, flags, 0)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(handle), path), nil
}
