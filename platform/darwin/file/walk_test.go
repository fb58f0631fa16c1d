//go:build unix

package file

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"kpm/core"
)

// walker walks this machine as if all of it lay on one disk, and dir/share on a file
// server. lists are access control lists, by inode.
func walker(dir string, lists map[uint64]string) way {
	return way{
		mounts: Mounts{disk, {On: filepath.Join(dir, "share"), Kind: "smbfs"}},
		list: func(fd int) (string, error) {
			at, err := Stat(fd)
			return lists[at.Inode], err
		},
	}
}

// tree makes files and links in a directory that root alone can change.
func tree(t *testing.T) string {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	in := func(name string) string { return filepath.Join(dir, name) }
	must(os.MkdirAll(in("a/b"), 0o755))
	must(os.Mkdir(in("share"), 0o755))
	must(os.WriteFile(in("share/f"), nil, 0o644))
	must(os.WriteFile(in("a/b/f"), []byte("text"), 0o644))
	must(os.Mkdir(in("open"), 0o755))
	must(os.Chmod(in("open"), 0o777))
	must(os.WriteFile(in("open/f"), nil, 0o644))
	must(os.Symlink("a/b", in("relative")))
	must(os.Symlink(in("a"), in("absolute")))
	must(os.Symlink("../a/../relative/f", in("a/twice")))
	must(os.Symlink("self", in("self")))
	must(os.Symlink("open", in("to-open")))
	must(unix.Mkfifo(in("fifo"), 0o644))
	return dir
}

func TestWalk(t *testing.T) {
	dir := tree(t)
	w := walker(dir, nil)
	for path, want := range map[string]string{
		"a/b/f": "a/b/f", "relative/f": "a/b/f", "absolute/b/f": "a/b/f", "a/twice": "a/b/f", "a/./b//f": "a/b/f", "a/b/../b/f": "a/b/f", "a/b": "a/b", "to-open/f": "open/f",
	} {
		fd, at, err := w.walk(dir+"/"+path, Anywhere)
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		unix.Close(fd)
		var st unix.Stat_t
		if err := unix.Stat(filepath.Join(dir, want), &st); err != nil || at.Inode != st.Ino {
			t.Errorf("%s leads to %s, want %s", path, at.Path, want)
		}
	}
	for path, want := range map[string]error{
		"none": fs.ErrNotExist, "a/b/f/g": fs.ErrNotExist, "self": fs.ErrNotExist, "share": core.ErrNotProtected, "share/f": core.ErrNotProtected,
	} {
		if fd, at, err := w.walk(filepath.Join(dir, path), Anywhere); !errors.Is(err, want) || fd >= 0 {
			t.Errorf("%s: %d, %+v, %v, want %v", path, fd, at, err, want)
		}
	}
	if _, _, err := w.walk("a/b", Anywhere); !errors.Is(err, fs.ErrInvalid) {
		t.Errorf("a relative path: %v", err)
	}
	// A FIFO is described and not opened: opening waits for a writer.
	if fd, at, err := w.walk(filepath.Join(dir, "fifo"), Anywhere); err != nil || fd != -1 || at.Regular() || at.Dir() {
		t.Errorf("a fifo: %d, %+v, %v", fd, at, err)
	}
}

// Every component of a way is shown, and one that others can change ends it.
func TestWaysThatOthersCanChange(t *testing.T) {
	dir := tree(t)
	var st unix.Stat_t
	if err := unix.Stat(filepath.Join(dir, "a"), &st); err != nil {
		t.Fatal(err)
	}
	check := Changeable(dir)
	pass := func(at Place) error {
		if at.Link() && at.UID == 0 {
			return nil
		}
		return check(at)
	}
	for path, c := range map[string]struct {
		lists map[uint64]string
		want  string
	}{
		"a/b/f":        {nil, ""},
		"relative/f":   {nil, ""},
		"open/f":       {nil, "/open has mode 0777"},
		"to-open/f":    {nil, "/open has mode 0777"},
		"absolute/b/f": {map[uint64]string{st.Ino: adminWrites}, "/a has an access control list"},
		"a/twice":      {map[uint64]string{st.Ino: denyDelete}, ""},
	} {
		fd, _, err := walker(dir, c.lists).walk(filepath.Join(dir, path), pass)
		if fd >= 0 {
			unix.Close(fd)
		}
		if (err == nil) != (c.want == "") || err != nil && (!errors.Is(err, core.ErrNotProtected) || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", path, err, c.want)
		}
	}
}

// Attack (CVE-2005-1993 and its kind): while a path is walked, a component is
// exchanged for a link. What is returned is what was shown, or nothing.
func TestExchangedWhileItIsWalked(t *testing.T) {
	dir := tree(t)
	path, aside := filepath.Join(dir, "a/b"), filepath.Join(dir, "aside")
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			default:
			}
			os.Rename(path, aside)
			os.Symlink(filepath.Join(dir, "open"), path)
			os.Remove(path)
			os.Rename(aside, path)
		}
	}()
	refuse := Changeable(dir)
	var good unix.Stat_t
	found := 0
	for range 3000 {
		fd, at, err := walker(dir, nil).walk(path+"/f", refuse)
		if err != nil {
			continue
		}
		found++
		if unix.Fstat(fd, &good) != nil || good.Ino != at.Inode || good.Size != 4 {
			t.Errorf("%s is %d bytes: what was refused was opened", at.Path, good.Size)
		}
		unix.Close(fd)
	}
	close(stop)
	<-stopped
	if found == 0 {
		t.Error("the file was never found")
	}
}
