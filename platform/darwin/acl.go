//go:build darwin

package darwin

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"kpm/core"
	"kpm/core/port"
	"kpm/platform/darwin/accesslist"
	"kpm/platform/darwin/file"
	"kpm/platform/darwin/libsystem"
	"kpm/platform/darwin/tool"
	"kpm/platform/unix/below"
)

// AccessLists implements port.AccessLists by extended access control lists.
type AccessLists struct {
	file.Files
	Accounts Accounts
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
	return &accessFile{file: f, at: at}, nil
}

// Reopen implements port.AccessLists. What lies elsewhere by now is opened by its
// number, which APFS gives to no other file of the volume.
func (s AccessLists) Reopen(ref core.FileRef) (port.AccessFile, error) {
	f, err := s.Open(ref.Path)
	if err == nil {
		if f.Ref().Same(ref) {
			return f, nil
		}
		f.Close()
	}
	// /.vol/DEVICE/@ is the root of a volume that is mounted, whatever it is called.
	volume := fmt.Sprintf("/.vol/%d/", ref.Device)
	if err := unix.Access(volume+"@", unix.F_OK); err != nil {
		return nil, fmt.Errorf("files: the file system of %s is not mounted: %w", ref.Path, core.ErrNotProtected)
	}
	fd, err := file.OpenAt(unix.AT_FDCWD, volume+strconv.FormatUint(ref.Inode, 10), unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil, fmt.Errorf("files: the file that was %s: %w", ref.Path, err)
	}
	found := os.NewFile(uintptr(fd), ref.Path)
	var at file.Place
	err = onDescriptor(found, func(fd int) (err error) {
		at, err = file.WhereIs(fd)
		return err
	})
	if err == nil && (at.Dev != ref.Device || at.Inode != ref.Inode || !at.Regular()) {
		err = fmt.Errorf("files: the file that was %s is another one: %w", ref.Path, core.ErrNotProtected)
	}
	if err != nil {
		found.Close()
		return nil, err
	}
	return &accessFile{file: found, at: at}, nil
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
	uuid, err := uuidOf(user)
	if err != nil {
		return nil, err
	}
	return []byte(accesslist.With(string(list), uuid, access)), nil
}

// Without implements port.AccessLists.
func (AccessLists) Without(list, before []byte, user core.UserID) ([]byte, error) {
	uuid, err := uuidOf(user)
	if err != nil {
		return nil, err
	}
	return []byte(accesslist.Without(string(list), string(before), uuid)), nil
}

func uuidOf(user core.UserID) (string, error) {
	uid, err := parseID(string(user))
	if err != nil {
		return "", err
	}
	calls, err := libsystem.Bound()
	if err != nil {
		return "", err
	}
	return calls.UUID(uid)
}

// People implements port.AccessLists.
func (s AccessLists) People() (list []core.Account, err error) {
	answer, err := ask(context.Background(), askTime, tool.AskAccounts(), "")
	if err == nil && answer.status != 0 {
		err = fmt.Errorf("dscl ended with %d: %s", answer.status, strings.TrimSpace(answer.errors))
	}
	if err != nil {
		return nil, fmt.Errorf("accounts: %w: %w", core.ErrNoAnswer, err)
	}
	for line := range strings.Lines(string(answer.output)) {
		name := strings.TrimSpace(line)
		if strings.HasPrefix(name, "_") { // the system's, more than a hundred
			continue
		}
		account, err := s.Accounts.ByName(name)
		switch {
		case errors.Is(err, core.ErrNoAccount): // removed meanwhile, or no name that is asked for
		case err != nil:
			return nil, err
		case !tool.SystemAccount(string(account.User)):
			list = append(list, account)
		}
	}
	return list, nil
}

// accessFile is an open file.
type accessFile struct {
	file *os.File
	at   file.Place
}

// Ref implements port.AccessFile.
func (f *accessFile) Ref() core.FileRef {
	return core.FileRef{Path: f.at.Path, Device: f.at.Dev, Inode: f.at.Inode}
}

// Info implements port.AccessFile.
func (f *accessFile) Info() port.FileInfo { return infoOf(f.at) }

// Close implements port.AccessFile.
func (f *accessFile) Close() error { return f.file.Close() }

// Read implements port.AccessFile.
func (f *accessFile) Read() (list []byte, err error) {
	calls, err := libsystem.Bound()
	if err != nil {
		return nil, err
	}
	err = onDescriptor(f.file, func(fd int) error {
		text, err := calls.AccessList(fd)
		if err == nil {
			text, err = accesslist.Canonical(text)
		}
		list = []byte(text)
		return f.fault("read", err)
	})
	return list, err
}

// Write implements port.AccessFile. Of a file that had none, a list without entries
// stays.
func (f *accessFile) Write(list []byte) error {
	text, err := accesslist.Canonical(string(list))
	if err != nil {
		return f.fault("write", err)
	}
	if text == "" {
		text = accesslist.None
	}
	calls, err := libsystem.Bound()
	if err != nil {
		return err
	}
	return onDescriptor(f.file, func(fd int) error { return f.fault("write", calls.SetAccessList(fd, text)) })
}

func (f *accessFile) fault(what string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, unix.ENOTSUP):
		return fmt.Errorf("files: %s lies on a file system without access control lists: %w", f.at.Path, errors.ErrUnsupported)
	}
	return fmt.Errorf("files: %s the access control list of %s: %w", what, f.at.Path, err)
}
