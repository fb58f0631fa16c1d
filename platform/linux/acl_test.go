//go:build linux

package linux

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"kpm/core"
	"kpm/core/port"
	"kpm/platform/linux/file"
	"kpm/platform/linux/posixacl"
)

// mayOpen reports whether the kernel lets a user open path so.
func mayOpen(t *testing.T, uid, gid int, path string, flags int) bool {
	t.Helper()
	var err error
	onThreadThatEnds(func() { // with its identity
		if err = errors.Join(unix.Setfsgid(gid), unix.Setfsuid(uid)); err != nil {
			return
		}
		var fd int
		if fd, err = unix.Open(path, flags|unix.O_CLOEXEC, 0); err == nil {
			unix.Close(fd)
		}
	})
	if err != nil && err != unix.EACCES {
		t.Fatalf("open %s as %d: %v", path, uid, err)
	}
	return err == nil
}

// newLists returns a folder that root alone can change, what changes lists in it, and
// a file.
func newLists(t *testing.T, mode fs.FileMode) (lists AccessLists, root, path string) {
	t.Helper()
	root = t.TempDir()
	path = filepath.Join(root, "open", "file")
	for _, err := range []error{
		os.Chmod(filepath.Dir(root), 0o755), os.Chmod(root, 0o755), os.Mkdir(filepath.Dir(path), 0o755),
		os.WriteFile(path, []byte("contents"), 0o600), os.Chown(path, 0, 50), os.Chmod(path, mode),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return AccessLists{Files: file.Files{AgentRoot: root}}, root, path
}

func opened(t *testing.T, lists AccessLists, path string) port.AccessFile {
	t.Helper()
	f, err := lists.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// change writes an entry and returns the list before it.
func change(t *testing.T, lists AccessLists, f port.AccessFile, user core.UserID, access core.Access) (before, after []byte) {
	t.Helper()
	before, err := f.Read()
	if err != nil {
		t.Fatal(err)
	}
	if after, err = lists.With(before, user, access); err == nil {
		err = f.Write(after)
	}
	if err != nil {
		t.Fatal(err)
	}
	if now, err := f.Read(); err != nil || !bytes.Equal(now, after) {
		t.Fatalf("written %x, read %x, %v", after, now, err)
	}
	return before, after
}

const readWrite = unix.O_RDWR

// The kernel holds one user back, nobody else, and everything is as it was when the
// list is put back.
func TestAnAccessListDeniesAndAllows(t *testing.T) {
	lists, _, path := newLists(t, 0o664)
	f := opened(t, lists, path)
	before, _ := change(t, lists, f, "4242", core.Denied)
	for name, tc := range map[string]struct {
		uid, gid, flags int
		want            bool
	}{
		"the user reads":              {4242, 4242, unix.O_RDONLY, false},
		"the user writes":             {4242, 4242, unix.O_WRONLY, false},
		"the user is in the group":    {4242, 50, unix.O_RDONLY, false},
		"another user reads":          {4343, 4343, unix.O_RDONLY, true},
		"another one does not write":  {4343, 4343, unix.O_WRONLY, false},
		"one who is in the group may": {4343, 50, readWrite, true},
	} {
		if got := mayOpen(t, tc.uid, tc.gid, path, tc.flags); got != tc.want {
			t.Errorf("%s: %v", name, got)
		}
	}
	change(t, lists, f, "4242", core.ReadWrite)
	if !mayOpen(t, 4242, 4242, path, readWrite) || mayOpen(t, 4343, 4343, path, unix.O_WRONLY) {
		t.Error("after a grant")
	}
	if err := f.Write(before); err != nil {
		t.Fatal(err)
	}
	if _, err := unix.Getxattr(path, file.ACLAttribute, nil); err != unix.ENODATA {
		t.Errorf("a list is left: %v", err)
	}
	if st, err := os.Stat(path); err != nil || st.Mode() != 0o664 {
		t.Errorf("%v %v", st.Mode(), err)
	}
}

// Attack: with a grant, the mask is widened, and lets through to others what the
// administrator's list has for them and the mask held back.
func TestAGrantLetsNothingThroughToOthers(t *testing.T) {
	lists, _, path := newLists(t, 0o600)
	held := posixacl.List{{Tag: posixacl.Owner, Perm: 6, ID: posixacl.NoID}, {Tag: posixacl.User, Perm: 6, ID: 4343},
		{Tag: posixacl.Group, Perm: 6, ID: posixacl.NoID}, {Tag: posixacl.Mask, ID: posixacl.NoID}, {Tag: posixacl.Other, ID: posixacl.NoID}}
	if err := unix.Setxattr(path, file.ACLAttribute, held.Encode(), 0); err != nil {
		t.Fatal(err)
	}
	change(t, lists, opened(t, lists, path), "4242", core.ReadWrite)
	if !mayOpen(t, 4242, 4242, path, readWrite) {
		t.Error("the grant gives nothing")
	}
	if mayOpen(t, 4343, 4343, path, unix.O_RDONLY) || mayOpen(t, 4444, 50, path, unix.O_RDONLY) {
		t.Error("others got what the mask had held back")
	}
}

// No file is opened that users can exchange, or that is not what the path names.
func TestFilesThatAreNotOpened(t *testing.T) {
	lists, root, path := newLists(t, 0o644)
	users := filepath.Join(root, "users")
	for _, err := range []error{
		os.Mkdir(users, 0o755), os.WriteFile(filepath.Join(users, "file"), nil, 0o644), os.Chown(users, 4242, 4242),
		os.Symlink(path, filepath.Join(root, "link")), os.Symlink(filepath.Dir(path), filepath.Join(root, "folder")),
		os.Symlink(users, filepath.Join(root, "users-link")),
		unix.Mkfifo(filepath.Join(root, "fifo"), 0o644),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]error{
		"link": core.ErrNotRegular, "fifo": core.ErrNotRegular, "open": core.ErrNotRegular, "none": fs.ErrNotExist,
		"users/file": core.ErrNotProtected, "users-link/file": core.ErrNotProtected, "folder/file": nil,
	} {
		f, err := lists.Open(filepath.Join(root, name))
		if !errors.Is(err, want) || (err == nil) != (want == nil) {
			t.Errorf("%s: %v, expected %v", name, err, want)
		}
		if err == nil && f.Info().Path != path {
			t.Errorf("%s: %s", name, f.Info().Path)
		}
		if err == nil {
			f.Close()
		}
	}
	// Attack: something is mounted over the file that its maker has filled.
	other := filepath.Join(t.TempDir(), "over")
	if err := errors.Join(os.WriteFile(other, nil, 0o644), unix.Mount("/proc/version", path, "", unix.MS_BIND, "")); err != nil {
		t.Fatal(err)
	}
	defer unix.Unmount(path, unix.MNT_DETACH)
	if f, err := lists.Open(path); !errors.Is(err, core.ErrNotProtected) {
		t.Errorf("mounted over: %v, %v", f, err)
	}
}

// A file is found again whatever it is called by then, and no other one is taken for
// it.
func TestAFileIsFoundAgain(t *testing.T) {
	lists, root, path := newLists(t, 0o644)
	f := opened(t, lists, path)
	ref := f.Ref()
	if len(ref.Handle) == 0 {
		t.Fatal("the file system of the test has no names for files")
	}
	again := func() (string, error) {
		t.Helper()
		f, err := lists.Reopen(ref)
		if err != nil {
			return "", err
		}
		defer f.Close()
		if !f.Ref().Same(ref) {
			t.Errorf("%+v, expected %+v", f.Ref(), ref)
		}
		return f.Info().Path, nil
	}
	if at, err := again(); at != path || err != nil {
		t.Errorf("where it was: %s %v", at, err)
	}
	moved := filepath.Join(root, "moved")
	if err := errors.Join(os.Rename(path, moved), os.WriteFile(path, nil, 0o644)); err != nil {
		t.Fatal(err)
	}
	if at, err := again(); at == path || err != nil {
		t.Errorf("moved, with another in its place: %s %v", at, err)
	}
	if err := os.RemoveAll(filepath.Dir(path)); err != nil {
		t.Fatal(err)
	}
	if _, err := again(); err != nil {
		t.Errorf("its folder is gone: %v", err)
	}
	f.Close()
	if err := os.Remove(moved); err != nil {
		t.Fatal(err)
	}
	if _, err := again(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("removed: %v", err)
	}
	blind := ref
	blind.Handle = nil
	if _, err := lists.Reopen(blind); err == nil {
		t.Error("without a name of the file system something was found")
	}
}

func TestBelow(t *testing.T) {
	lists, root, path := newLists(t, 0o644)
	top := filepath.Join(root, "open")
	deep, users := filepath.Join(top, "deep", "er"), filepath.Join(top, "users")
	for _, err := range []error{
		os.MkdirAll(deep, 0o755), os.WriteFile(filepath.Join(deep, "b"), nil, 0o644), os.Symlink(path, filepath.Join(deep, "link")),
		os.Mkdir(users, 0o755), os.WriteFile(filepath.Join(users, "c"), nil, 0o644), os.Chown(users, 4242, 0),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	list, err := lists.Below(top, 100)
	if want := []string{filepath.Join(deep, "b"), path}; !slices.Equal(list, want) || !errors.Is(err, core.ErrNotProtected) {
		t.Errorf("%v %v", list, err)
	}
	if list, err := lists.Below(top, 1); len(list) != 1 || err == nil {
		t.Errorf("more than the limit: %v %v", list, err)
	}
	if list, err := lists.Below(filepath.Join(top, "none"), 1); len(list) != 0 || err != nil {
		t.Errorf("none: %v %v", list, err)
	}
}

func TestPeople(t *testing.T) {
	dir := t.TempDir()
	passwd, group := filepath.Join(dir, "passwd"), filepath.Join(dir, "group")
	err := errors.Join(
		os.WriteFile(passwd, []byte("root:x:0:0::/root:/bin/sh\ndaemon:x:1:1::/:/bin/sh\nann:x:1000:100::/home/ann:/bin/sh\nbob:x:1001:101::/:\nnobody:x:65534:65534::/:\n"), 0o644),
		os.WriteFile(group, []byte("staff:x:50:ann,bob\nusers:x:100:ann\nsudo:x:27:carol\n"), 0o644))
	if err != nil {
		t.Fatal(err)
	}
	list, err := AccessLists{Accounts: accountsIn(dir)}.People()
	if err != nil || len(list) != 2 || list[0].Name != "ann" || !slices.Equal(list[0].Groups, []string{"100", "50"}) || !slices.Equal(list[1].Groups, []string{"101", "50"}) {
		t.Errorf("%+v %v", list, err)
	}
}

func TestUsersThatAreNone(t *testing.T) {
	list := posixacl.OfMode(0o644).Encode()
	for _, user := range []core.UserID{"", "-1", "4294967295", "ann", "4294967296"} {
		if _, err := (AccessLists{}).With(list, user, core.Denied); !errors.Is(err, core.ErrNoAccount) {
			t.Errorf("%q: %v", user, err)
		}
	}
}
