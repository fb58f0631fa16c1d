//go:build linux

package file

import (
	"encoding/binary"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"kpm/core"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// grantWrite lets user 4242 write to path by an access control list, as setfacl
// -m u:4242:rw does. The group bits of the mode then say rw as well.
func grantWrite(path string) error {
	list := binary.LittleEndian.AppendUint32(nil, 2)
	for _, e := range []struct {
		tag, perm uint16
		id        uint32
	}{{1, 6, ^uint32(0)}, {2, 6, 4242}, {4, 4, ^uint32(0)}, {16, 6, ^uint32(0)}, {32, 4, ^uint32(0)}} {
		list = binary.LittleEndian.AppendUint16(list, e.tag)
		list = binary.LittleEndian.AppendUint16(list, e.perm)
		list = binary.LittleEndian.AppendUint32(list, e.id)
	}
	return unix.Setxattr(path, ACLAttribute, list, 0)
}

// Each row is one way in which a file of an administrator's is not to be read.
// None of them may make the reader wait.
func TestReadProtected(t *testing.T) {
	const limit = 8
	for _, c := range []struct {
		name  string
		spoil func(t *testing.T, dir, path string)
		err   error  // of ReadProtected; nil: the contents are "contents"
		says  string // part of the error
		link  bool   // a folder that is open refuses it all the same
	}{
		{name: "as it should be", spoil: func(*testing.T, string, string) {}},
		{name: "root's group may write", spoil: func(t *testing.T, _, path string) { must(t, os.Chmod(path, 0o664)) }},
		{"missing", func(t *testing.T, _, path string) { must(t, os.Remove(path)) }, fs.ErrNotExist, "no such file", false},
		{"too large", func(t *testing.T, _, path string) { must(t, os.Truncate(path, limit+1)) }, core.ErrTooLarge, "more than 8 bytes", false},
		{"a directory", func(t *testing.T, _, path string) {
			must(t, errors.Join(os.Remove(path), os.Mkdir(path, 0o755)))
		}, core.ErrNotRegular, "is a folder", false},
		{"a FIFO", func(t *testing.T, _, path string) {
			must(t, errors.Join(os.Remove(path), unix.Mkfifo(path, 0o600)))
		}, core.ErrNotRegular, "", false},
		{"a socket", func(t *testing.T, _, path string) {
			must(t, errors.Join(os.Remove(path), unix.Mknod(path, unix.S_IFSOCK|0o600, 0)))
		}, core.ErrNotRegular, "", false},
		{"a link of root's to a protected file", func(t *testing.T, dir, path string) {
			must(t, errors.Join(os.Rename(path, path+".real"), os.Symlink(filepath.Base(path)+".real", path)))
		}, nil, "", true},
		{"a link of somebody else's", func(t *testing.T, dir, path string) {
			must(t, errors.Join(os.Rename(path, path+".real"), os.Symlink(path+".real", path), os.Lchown(path, 4242, 4242)))
		}, core.ErrNotProtected, "symbolic link", true},
		{"a link to what others can change", func(t *testing.T, dir, path string) {
			must(t, errors.Join(os.Rename(path, path+".real"), os.Chmod(path+".real", 0o666), os.Symlink(path+".real", path)))
		}, core.ErrNotProtected, "everyone can write", true},
		{"everyone may write", func(t *testing.T, _, path string) { must(t, os.Chmod(path, 0o646)) }, core.ErrNotProtected, "run chmod o-w", false},
		{"a group may write", func(t *testing.T, _, path string) {
			must(t, errors.Join(os.Chown(path, 0, 4242), os.Chmod(path, 0o664)))
		}, core.ErrNotProtected, "run chmod g-w", false},
		{"an access control list lets a user write", func(t *testing.T, _, path string) { must(t, grantWrite(path)) }, core.ErrNotProtected, "run setfacl -b", false},
		{"not root's", func(t *testing.T, _, path string) { must(t, os.Chown(path, 4242, 0)) }, core.ErrNotProtected, "run chown root", false},
		{"on another mount", func(t *testing.T, _, path string) {
			must(t, unix.Mount("/proc/version", path, "", unix.MS_BIND, ""))
			t.Cleanup(func() { must(t, unix.Unmount(path, unix.MNT_DETACH)) })
		}, core.ErrNotProtected, "proc file system", false},
		{"in use under a lease", func(t *testing.T, _, path string) {
			f, err := os.OpenFile(path, os.O_RDWR, 0)
			must(t, err)
			t.Cleanup(func() { f.Close() })
			_, err = unix.FcntlInt(f.Fd(), unix.F_SETLEASE, unix.F_WRLCK)
			must(t, err)
		}, fs.ErrPermission, "in use by another program", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			root := t.TempDir() // below /tmp, which is sticky
			dir := filepath.Join(root, "dir")
			path := filepath.Join(dir, "file")
			must(t, errors.Join(os.Mkdir(dir, 0o755), os.WriteFile(path, []byte("contents"), 0o644)))
			files := Files{AgentRoot: root}
			c.spoil(t, dir, path)
			data, err := files.ReadProtected(path, limit)
			check(t, "ReadProtected", data, err, c.err, c.says)

			folder, err := files.OpenFolder(dir)
			must(t, err)
			defer folder.Close()
			data, err = folder.Read("file", limit)
			if c.link {
				check(t, "Folder.Read", data, err, core.ErrNotRegular, "is a link")
				return
			}
			check(t, "Folder.Read", data, err, c.err, c.says)
		})
	}
}

func check(t *testing.T, what string, data []byte, err, want error, says string) {
	t.Helper()
	switch {
	case want == nil && (err != nil || string(data) != "contents"):
		t.Errorf("%s: %q, %v", what, data, err)
	case want != nil && (!errors.Is(err, want) || data != nil || !strings.Contains(err.Error(), says)):
		t.Errorf("%s: %q, %v, expected %v and %q", what, data, err, want, says)
	}
}

// What may lie above a file is refused as the file itself is.
func TestReadProtectedLooksAtTheWay(t *testing.T) {
	root := t.TempDir()
	dir := filepath.Join(root, "dir")
	path := filepath.Join(dir, "file")
	must(t, errors.Join(os.Mkdir(dir, 0o755), os.WriteFile(path, nil, 0o644), os.Chmod(dir, 0o777)))
	for _, files := range []Files{{AgentRoot: root}, {}} {
		if _, err := files.ReadProtected(path, 1); !errors.Is(err, core.ErrNotProtected) {
			t.Errorf("%+v: %v", files, err)
		}
		if _, err := files.OpenFolder(dir); !errors.Is(err, core.ErrNotProtected) {
			t.Errorf("%+v: folder: %v", files, err)
		}
	}
	must(t, errors.Join(os.Chmod(dir, 0o755), os.Symlink("dir", filepath.Join(root, "link"))))
	files := Files{AgentRoot: root}
	for _, name := range []string{"link", "dir/file"} {
		if _, err := files.OpenFolder(filepath.Join(root, name)); !errors.Is(err, unix.ENOTDIR) {
			t.Errorf("%s: %v, expected ENOTDIR", name, err)
		}
	}
	if _, err := files.OpenFolder(filepath.Join(root, "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("none: %v", err)
	}
	if _, err := (Files{}).ReadProtected(path, 1); !errors.Is(err, core.ErrNotProtected) {
		t.Errorf("in a sticky directory that is not above the agent root: %v", err)
	}
}

// RootAlone is about the object alone, and not even root's group may write.
func TestRootAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	must(t, os.WriteFile(path, nil, 0o600))
	for _, c := range []struct {
		uid  int
		mode fs.FileMode
		says string
	}{
		{0, 0o755, ""}, {0, 0o400, ""}, {0, 0o775, "has mode 0775: others than root can write to it"},
		{0, 0o757, "has mode 0757"}, {4242, 0o700, "belongs to uid 4242"},
	} {
		must(t, errors.Join(os.Chown(path, c.uid, 0), os.Chmod(path, c.mode)))
		fd, err := OpenAt(unix.AT_FDCWD, path, unix.O_PATH, 0)
		must(t, err)
		at, err := RootAlone(fd, "name")
		unix.Close(fd)
		if c.says == "" && (err != nil || !at.Regular()) {
			t.Errorf("%o of %d: %+v, %v", c.mode, c.uid, at, err)
		}
		if c.says != "" && (!errors.Is(err, core.ErrNotProtected) || !strings.Contains(err.Error(), "files: name "+c.says)) {
			t.Errorf("%o of %d: %v", c.mode, c.uid, err)
		}
	}
}
