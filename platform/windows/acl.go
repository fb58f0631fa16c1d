//go:build windows

package windows

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/windows"

	"kpm/core"
	"kpm/core/port"
	"kpm/platform/windows/dacl"
	"kpm/platform/windows/file"
)

// AccessLists implements port.AccessLists by discretionary access control lists.
type AccessLists struct{ Accounts Accounts }

var _ port.AccessLists = AccessLists{}

// ErrListNotKept is wrapped when the system has made another list of the one that it
// was given. What was there before is there again.
var ErrListNotKept = core.NewError(core.Unavailable, "the system does not keep the access control list as it is written")

// Open implements port.AccessLists. All that follows goes by the handle.
func (AccessLists) Open(path string) (port.AccessFile, error) {
	path = filepath.FromSlash(path) // policies are written with either
	f, err := file.Files{}.OpenListed(path)
	if err != nil {
		return nil, err
	}
	return newAccessFile(f)
}

func newAccessFile(f *os.File) (port.AccessFile, error) {
	opened := &accessFile{file: f}
	var err error
	if opened.info, err = (Files{}).Inspect(f); err == nil {
		err = file.OnHandle(f, func(handle windows.Handle) (err error) {
			opened.id, err = file.Identify(handle)
			return err
		})
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return opened, nil
}

// Reopen implements port.AccessLists. What lies elsewhere by now is opened by the
// identity that the volume knows it by, which no other file of it has.
func (l AccessLists) Reopen(ref core.FileRef) (port.AccessFile, error) {
	f, err := l.Open(ref.Path)
	if err == nil {
		if f.Ref().Same(ref) {
			return f, nil
		}
		f.Close()
	}
	id := file.ID{Volume: ref.Device}
	if copy(id.File[:], ref.Handle) != len(id.File) {
		if err == nil {
			err = fmt.Errorf("files: %s is another file by now, and where the one before lies is not known: %w", ref.Path, core.ErrNotProtected)
		}
		return nil, err
	}
	moved, err := file.Files{}.OpenID(id, ref.Path)
	if err != nil {
		return nil, err
	}
	again, err := newAccessFile(moved)
	if err != nil {
		return nil, err
	}
	if !again.Ref().Same(ref) {
		again.Close()
		return nil, fmt.Errorf("files: the file that was %s is another one: %w", ref.Path, core.ErrNotProtected)
	}
	return again, nil
}

// maxFolders and maxFaults bound where files are looked for below a folder, and what is
// said about it.
const (
	maxFolders = 4096
	maxFaults  = 16
)

// Below implements port.AccessLists. Folders that others can change are left out: a
// file in one could be exchanged for another.
func (AccessLists) Below(folder string, limit int) (paths []string, err error) {
	folder = filepath.FromSlash(folder)
	if strings.HasSuffix(folder, ":") { // of a drive, and not where somebody is on it
		folder += `\`
	}
	var faults []error
	folders := []string{filepath.Clean(folder)}
	for i := 0; i < len(folders) && len(faults) < maxFaults; i++ {
		entries, err := entriesOf(folders[i])
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			faults = append(faults, err)
		}
		for _, e := range entries {
			path := filepath.Join(folders[i], e.Name())
			switch {
			case e.Type().IsRegular() && len(paths) == limit, e.IsDir() && len(folders) == maxFolders:
				return paths, errors.Join(append(faults, fmt.Errorf("files: more than %d files or %d folders below %s", limit, maxFolders, folder))...)
			case e.Type().IsRegular():
				paths = append(paths, path)
			case e.IsDir():
				folders = append(folders, path)
			}
		}
	}
	slices.Sort(paths)
	return paths, errors.Join(faults...)
}

func entriesOf(folder string) ([]fs.DirEntry, error) {
	f, err := file.Files{}.OpenFolder(folder)
	if err != nil {
		return nil, err
	}
	entries, err := f.Entries()
	return entries, errors.Join(err, f.Close())
}

// With implements port.AccessLists. Who holds a grant is still kept out by what keeps a
// group of theirs out.
func (AccessLists) With(list []byte, user core.UserID, access core.Access) ([]byte, error) {
	l, sid, err := listAndUser(list, user)
	switch {
	case err != nil:
		return nil, err
	case access == core.ReadWrite:
		return l.Allow(sid).Encode()
	}
	return l.Deny(sid).Encode()
}

// Without implements port.AccessLists.
func (AccessLists) Without(list, before []byte, user core.UserID) ([]byte, error) {
	l, sid, err := listAndUser(list, user)
	if err != nil {
		return nil, err
	}
	was, err := dacl.Decode(before)
	if err != nil {
		return nil, err
	}
	return l.Undo(was, sid).Encode()
}

func listAndUser(list []byte, user core.UserID) (dacl.List, dacl.SID, error) {
	sid, err := dacl.ParseSID(string(user))
	if err != nil {
		return dacl.List{}, nil, fmt.Errorf("%w: %w", err, core.ErrNoAccount)
	}
	l, err := dacl.Decode(list)
	return l, sid, err
}

// accessFile is a handle of a file.
type accessFile struct {
	file *os.File
	info port.FileInfo
	id   file.ID
}

// Ref implements port.AccessFile.
func (f *accessFile) Ref() core.FileRef {
	return core.FileRef{Path: f.info.Path, Device: f.info.Device, Inode: f.info.Inode, Handle: bytes.Clone(f.id.File[:])}
}

// Info implements port.AccessFile.
func (f *accessFile) Info() port.FileInfo { return f.info }

// Close implements port.AccessFile.
func (f *accessFile) Close() error { return f.file.Close() }

// Read implements port.AccessFile.
func (f *accessFile) Read() (list []byte, err error) {
	err = file.OnHandle(f.file, func(handle windows.Handle) error {
		l, err := dacl.Of(handle)
		if err == nil {
			list, err = l.Encode()
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("files: read the access control list of %s: %w", f.info.Path, err)
	}
	return list, nil
}

// Write implements port.AccessFile. A list that is not kept as it is written would look
// like one that somebody else has changed, again and again.
func (f *accessFile) Write(list []byte) error {
	before, err := f.Read()
	if err != nil {
		return err
	}
	err = f.set(list)
	if err == nil {
		var now []byte
		if now, err = f.Read(); err == nil && !bytes.Equal(now, list) {
			err = ErrListNotKept
		}
		if err != nil {
			err = errors.Join(err, f.set(before))
		}
	}
	if err != nil {
		return fmt.Errorf("files: write the access control list of %s: %w", f.info.Path, err)
	}
	return nil
}

func (f *accessFile) set(list []byte) error {
	l, err := dacl.Decode(list)
	if err != nil {
		return err
	}
	return file.OnHandle(f.file, l.Set)
}
