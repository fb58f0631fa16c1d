//go:build linux

package linux

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"

	"kpm/core"
	"kpm/core/port"
	"kpm/platform/linux/file"
	"kpm/platform/linux/posixacl"
	"kpm/platform/unix/below"
)

// AccessLists implements port.AccessLists by POSIX access control lists.
type AccessLists struct {
	file.Files
	Accounts Accounts // whose the machine's people are; of directories none
}

var _ port.AccessLists = AccessLists{}

// Open implements port.AccessLists.
//
// Attack: the last name is a link, or the folder's owner puts another file in its
// place between the look and the change. So no link is followed at the end, only
// root can change anything on the way, and all that follows goes by the descriptor.
func (s AccessLists) Open(path string) (port.AccessFile, error) {
	f, at, err := s.OpenIn(path)
	if err != nil {
		return nil, err
	}
	return newAccessFile(f, at)
}

func newAccessFile(f *os.File, at file.Place) (port.AccessFile, error) {
	opened := &accessFile{file: f, info: port.FileInfo{
		Path: at.Path, Device: at.Dev, Inode: at.Inode, Size: at.Size, Change: at.Change, Regular: at.Regular(), Dir: at.Dir(),
		Links: int(at.Links), Exec: at.Mode&0o111 != 0, Owner: core.UserID(strconv.FormatUint(uint64(at.UID), 10)),
	}, mode: at.Mode}
	err := onDescriptor(f, func(fd int) error {
		handle, _, err := unix.NameToHandleAt(fd, "", unix.AT_EMPTY_PATH)
		if err == nil {
			opened.handle = append(strconv.AppendInt(nil, int64(handle.Type()), 10), ':')
			opened.handle = append(opened.handle, handle.Bytes()...)
		} // else a file system without such names: it is found by its path alone
		return nil
	})
	if err != nil {
		f.Close()
		return nil, err
	}
	return opened, nil
}

// Reopen implements port.AccessLists. What lies elsewhere by now is opened by the
// name that the file system has for it: it is the file that was there, as the
// numbers say, and another one that has been given the same number has another name.
func (s AccessLists) Reopen(ref core.FileRef) (port.AccessFile, error) {
	f, err := s.Open(ref.Path)
	if err == nil {
		if f.Ref().Same(ref) {
			return f, nil
		}
		f.Close()
	}
	handle, ok := handleOf(ref.Handle)
	if !ok {
		if err == nil {
			err = fmt.Errorf("files: %s is another file by now, and where the one before lies is not known: %w", ref.Path, core.ErrNotProtected)
		}
		return nil, err
	}
	folder, err := s.nearest(ref)
	if err != nil {
		return nil, err
	}
	defer folder.Close()
	var found *os.File
	err = onDescriptor(folder, func(mount int) error {
		fd, err := unix.OpenByHandleAt(mount, handle, unix.O_PATH|unix.O_CLOEXEC)
		if err == unix.ESTALE || err == unix.ENOENT {
			return fmt.Errorf("files: the file that was %s: %w", ref.Path, fs.ErrNotExist)
		}
		if err != nil {
			return fmt.Errorf("files: the file that was %s: %w", ref.Path, err)
		}
		found = os.NewFile(uintptr(fd), ref.Path)
		return nil
	})
	if err != nil {
		return nil, err
	}
	var at file.Place
	err = onDescriptor(found, func(fd int) error {
		at.Node, err = file.Stat(fd)
		return err
	})
	switch {
	case err != nil:
	case at.Links == 0:
		err = fmt.Errorf("files: the file that was %s: %w", ref.Path, fs.ErrNotExist)
	case at.Dev != ref.Device || at.Inode != ref.Inode || !at.Regular():
		err = fmt.Errorf("files: the file that was %s is another one: %w", ref.Path, core.ErrNotProtected)
	}
	if err != nil {
		found.Close()
		return nil, err
	}
	if at.Path, err = pathOf(found); err != nil {
		at.Path = ref.Path
	}
	return newAccessFile(found, at)
}

func pathOf(f *os.File) (path string, err error) {
	err = onDescriptor(f, func(fd int) error {
		at, err := file.WhereIs(fd)
		path = at.Path
		return err
	})
	return path, err
}

// nearest opens the lowest folder above where ref was found that is still there, on
// the same file system.
func (s AccessLists) nearest(ref core.FileRef) (*os.File, error) {
	for dir := filepath.Dir(ref.Path); ; dir = filepath.Dir(dir) {
		fd, at, err := file.Walk(dir, file.Anywhere)
		if err == nil {
			same := at.Dev == ref.Device && at.Dir()
			var folder *os.File
			if same {
				folder, err = file.Reopen(fd, dir, unix.O_RDONLY|unix.O_DIRECTORY)
			}
			unix.Close(fd)
			if same {
				return folder, err
			}
		}
		if dir == "/" {
			return nil, fmt.Errorf("files: the file system of %s is not mounted there: %w", ref.Path, core.ErrNotProtected)
		}
	}
}

// handleOf reads what newAccessFile has written.
func handleOf(text []byte) (unix.FileHandle, bool) {
	colon := slices.Index(text, ':')
	if colon < 0 {
		return unix.FileHandle{}, false
	}
	kind, err := strconv.ParseInt(string(text[:colon]), 10, 32)
	return unix.NewFileHandle(int32(kind), text[colon+1:]), err == nil
}

// Below implements port.AccessLists. Folders that others can change are left out: a
// file in one could be exchanged for another.
func (s AccessLists) Below(folder string, limit int) ([]string, error) {
	return below.Files(folder, limit, func(folder string) ([]fs.DirEntry, error) {
		f, err := s.OpenFolder(folder)
		if err != nil {
			return nil, err
		}
		entries, err := f.Entries()
		return entries, errors.Join(err, f.Close())
	})
}

// With implements port.AccessLists.
func (AccessLists) With(list []byte, user core.UserID, access core.Access) ([]byte, error) {
	l, uid, err := parse(list, user)
	switch {
	case err != nil:
		return nil, err
	case access == core.ReadWrite:
		return l.Allow(uid, posixacl.Read|posixacl.Write).Encode(), nil
	}
	return l.Deny(uid).Encode(), nil
}

// Without implements port.AccessLists.
func (AccessLists) Without(list, before []byte, user core.UserID) ([]byte, error) {
	l, uid, err := parse(list, user)
	if err != nil {
		return nil, err
	}
	was, err := posixacl.Decode(before)
	if err != nil {
		return nil, err
	}
	return l.Undo(was, uid).Encode(), nil
}

func parse(list []byte, user core.UserID) (posixacl.List, uint32, error) {
	uid, err := strconv.ParseUint(string(user), 10, 32)
	if err != nil || uid == noID {
		return nil, 0, fmt.Errorf("%q: %w", user, core.ErrNoAccount)
	}
	l, err := posixacl.Decode(list)
	return l, uint32(uid), err
}

// People implements port.AccessLists.
func (s AccessLists) People() (list []core.Account, err error) {
	people, err := s.Accounts.passwd.all()
	if err != nil {
		return nil, fmt.Errorf("accounts: %w", err)
	}
	for _, account := range people {
		uid, _ := strconv.ParseUint(string(account.User), 10, 32)
		if uid >= firstPerson && uid < nobody {
			account.Groups = []string{account.Group}
			list = append(list, account)
		}
	}
	groups, err := s.Accounts.group.all()
	if err != nil {
		return nil, fmt.Errorf("accounts: %w", err)
	}
	for _, g := range groups {
		for i := range list {
			if slices.Contains(g.members, list[i].Name) && !slices.Contains(list[i].Groups, g.gid) {
				list[i].Groups = append(list[i].Groups, g.gid)
			}
		}
	}
	return list, nil
}

// accessFile is an O_PATH descriptor of a file.
type accessFile struct {
	file   *os.File
	info   port.FileInfo
	mode   uint16
	handle []byte
}

// Ref implements port.AccessFile.
func (f *accessFile) Ref() core.FileRef {
	return core.FileRef{Path: f.info.Path, Device: f.info.Device, Inode: f.info.Inode, Handle: f.handle}
}

// Info implements port.AccessFile.
func (f *accessFile) Info() port.FileInfo { return f.info }

// Close implements port.AccessFile.
func (f *accessFile) Close() error { return f.file.Close() }

// Read implements port.AccessFile. Of a file without a list it is that of its mode.
func (f *accessFile) Read() (list []byte, err error) {
	err = onDescriptor(f.file, func(fd int) error {
		list = make([]byte, 4+8*posixacl.MaxEntries)
		n, err := unix.Getxattr(file.ProcFd(fd), file.ACLAttribute, list)
		switch {
		case err == unix.ENODATA:
			at, err := file.Stat(fd)
			list = posixacl.OfMode(at.Mode & 0o777).Encode()
			return err
		case err != nil:
			return f.fault("read", err)
		}
		list = list[:n:n]
		if _, err := posixacl.Decode(list); err != nil {
			return f.fault("read", err)
		}
		return nil
	})
	return list, err
}

// Write implements port.AccessFile. The kernel makes a list that says no more than a
// mode into the mode.
func (f *accessFile) Write(list []byte) error {
	if _, err := posixacl.Decode(list); err != nil {
		return f.fault("write", err)
	}
	return onDescriptor(f.file, func(fd int) error {
		if err := unix.Setxattr(file.ProcFd(fd), file.ACLAttribute, list, 0); err != nil {
			return f.fault("write", err)
		}
		return nil
	})
}

func (f *accessFile) fault(what string, err error) error {
	if errors.Is(err, unix.EOPNOTSUPP) {
		return fmt.Errorf("files: %s lies on a file system without access control lists: %w", f.info.Path, errors.ErrUnsupported)
	}
	return fmt.Errorf("files: %s the access control list of %s: %w", what, f.info.Path, err)
}
