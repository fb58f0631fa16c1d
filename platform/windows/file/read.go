//go:build windows

package file

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/windows"

	"kpm/core"
)

// Locate implements port.Opener: links are followed.
func (Files) Locate(path string) (*os.File, error) {
	if !filepath.IsAbs(path) {
		return nil, fmt.Errorf("files: %q is not an absolute path: %w", path, fs.ErrNotExist)
	}
	if _, err := localVolume(filepath.Clean(path)); err != nil {
		return nil, err
	}
	handle, err := open(filepath.Clean(path), look, ShareAll, true)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(handle), filepath.Clean(path)), nil
}

// LocateProtected implements port.Protection. No link is followed: it is refused,
// with what to name instead.
func (Files) LocateProtected(path string) (*os.File, error) {
	handle, err := walk(filepath.Clean(path))
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(handle), filepath.Clean(path)), nil
}

// ReadProtected implements port.Protection. What was checked is what is read: the
// handle of the walk is opened again, not the path, and nobody writes meanwhile.
func (Files) ReadProtected(path string, limit int64) ([]byte, error) {
	handle, err := walk(filepath.Clean(path))
	if err != nil {
		return nil, err
	}
	defer windows.CloseHandle(handle)
	return contents(handle, path, limit)
}

// Open implements port.Opener. Nobody can write to the file while it is open.
func (Files) Open(f *os.File) (*os.File, error) {
	var opened windows.Handle
	err := OnHandle(f, func(handle windows.Handle) error {
		info, err := attributesOf(handle)
		if err != nil || isDir(info) {
			return fmt.Errorf("files: %s: %w", f.Name(), core.ErrNotRegular)
		}
		opened, err = Reopen(handle, windows.GENERIC_READ, windows.FILE_SHARE_READ|windows.FILE_SHARE_DELETE, 0)
		if err != nil {
			return fmt.Errorf("files: open %s: %w", f.Name(), err)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(opened), f.Name()), nil
}

// contents reads at most limit bytes of the protected file behind handle.
func contents(handle windows.Handle, path string, limit int64) ([]byte, error) {
	info, err := attributesOf(handle)
	if err != nil {
		return nil, fmt.Errorf("files: %s: %w", path, err)
	}
	if isDir(info) {
		return nil, fmt.Errorf("files: %s is a folder: %w", path, core.ErrNotRegular)
	}
	again, err := Reopen(handle, windows.GENERIC_READ, windows.FILE_SHARE_READ|windows.FILE_SHARE_DELETE, 0)
	if err != nil {
		return nil, fmt.Errorf("files: open %s: %w", path, err)
	}
	f := os.NewFile(uintptr(again), path)
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, fmt.Errorf("files: read %s: %w", path, err)
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("files: %s has more than %d bytes: %w", path, limit, core.ErrTooLarge)
	}
	return data, nil
}

// Folder is a directory that was protected when it was opened, with everything
// above it. It cannot be renamed or removed as long as it is open.
type Folder struct {
	handle windows.Handle
	path   string
}

// OpenFolder opens the directory at path.
func (Files) OpenFolder(path string) (*Folder, error) {
	path = filepath.Clean(path)
	handle, err := walk(path)
	if err != nil {
		return nil, err
	}
	defer windows.CloseHandle(handle)
	info, err := attributesOf(handle)
	if err != nil {
		return nil, fmt.Errorf("files: %s: %w", path, err)
	}
	if !isDir(info) {
		return nil, fmt.Errorf("files: %s is a file: %w", path, syscall.ENOTDIR)
	}
	held, err := Reopen(handle, look, windows.FILE_SHARE_READ|windows.FILE_SHARE_WRITE, windows.FILE_FLAG_BACKUP_SEMANTICS)
	if err != nil {
		return nil, fmt.Errorf("files: open %s: %w", path, err)
	}
	return &Folder{held, path}, nil
}

// Entries returns what lies in the folder, in order of the names.
func (f *Folder) Entries() ([]os.DirEntry, error) { return os.ReadDir(Long(f.path)) }

// Names returns what lies in the folder, directories left out, in no order.
func (f *Folder) Names() ([]string, error) {
	entries, err := f.Entries()
	names := make([]string, 0, len(entries))
	for _, e := range entries {
		if !e.IsDir() {
			names = append(names, e.Name())
		}
	}
	return names, err
}

// Read returns the contents of the regular file name in the folder, which must
// be protected like the folder; a link is not followed. Its errors are those of
// ReadProtected.
func (f *Folder) Read(name string, limit int64) ([]byte, error) {
	if name != filepath.Base(name) || !filepath.IsLocal(name) {
		return nil, fmt.Errorf("files: %q is not a name in %s: %w", name, f.path, fs.ErrNotExist)
	}
	path := filepath.Join(f.path, name)
	handle, err := open(path, look, ShareAll, false)
	if err != nil {
		return nil, err
	}
	defer windows.CloseHandle(handle)
	info, err := attributesOf(handle)
	if err != nil {
		return nil, fmt.Errorf("files: %s: %w", path, err)
	}
	if isLink(info) {
		return nil, fmt.Errorf("files: %s is a link: %w", path, core.ErrNotRegular)
	}
	if err := judge(handle, path, false); err != nil {
		return nil, err
	}
	return contents(handle, path, limit)
}

// Close lets go of the folder.
func (f *Folder) Close() error { return windows.CloseHandle(f.handle) }

// Resolve follows an absolute path, with every link, to what exists, and returns
// that object's own path. Every object on the way is shown to visit, with whether
// it is a link, and whether administrators alone can change it.
func Resolve(path string, visit func(at string, link, protected bool)) (string, error) {
	f, err := Files{}.Locate(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	var end string
	if err := OnHandle(f, func(handle windows.Handle) (err error) {
		end, err = PathOf(handle)
		return err
	}); err != nil {
		return "", err
	}
	if visit == nil {
		return end, nil
	}
	show(filepath.Clean(path), visit)
	return end, nil
}

// maxLinks is how many links are followed, as by the system itself.
const maxLinks = 63

// show calls visit for every object on the way to path. Where a link leads, the
// way begins anew.
func show(path string, visit func(at string, link, protected bool)) {
	for range maxLinks {
		volume := filepath.VolumeName(path) + `\`
		at, parts := volume, strings.Split(strings.TrimPrefix(path, volume), `\`)
		path = ""
		for i := 0; i <= len(parts) && path == ""; i++ {
			link := show1(at, i >= len(parts)-1, visit)
			if link {
				if target, err := os.Readlink(at); err == nil {
					if !filepath.IsAbs(target) {
						target = filepath.Join(filepath.Dir(at), target)
					}
					path = filepath.Join(append([]string{target}, parts[i:]...)...)
				}
			}
			if i < len(parts) {
				at = filepath.Join(at, parts[i])
			}
		}
		if path == "" {
			return
		}
	}
}

// show1 calls visit for what lies at one place and reports whether it is a link.
// near is true for what is found and the directory that it lies in.
func show1(at string, near bool, visit func(at string, link, protected bool)) bool {
	handle, err := open(at, look, ShareAll, false)
	if err != nil {
		visit(at, false, false)
		return false
	}
	defer windows.CloseHandle(handle)
	info, err := attributesOf(handle)
	link := err == nil && isLink(info)
	mask := windows.ACCESS_MASK(steers)
	if near || link {
		mask = changes
	}
	visit(at, link, err == nil && forbid(handle, at, mask) == nil)
	return link
}
