//go:build linux

package fileaccess_test

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"kpm/core"
	"kpm/core/statefile"
	"kpm/launcher/fileaccess"
	"kpm/platform/linux"
	"kpm/platform/linux/file"
)

// reads reports whether the kernel lets a user read path.
func reads(t *testing.T, uid int, path string) bool {
	t.Helper()
	result := make(chan error)
	var try func()
	try = func() {
		runtime.LockOSThread()            // and never unlocked: the thread ends with its identity
		if unix.Gettid() == os.Getpid() { // but the main one, which cannot end
			go try()
			runtime.UnlockOSThread()
			return
		}
		if err := errors.Join(unix.Setfsgid(uid), unix.Setfsuid(uid)); err != nil {
			result <- err
			return
		}
		fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err == nil {
			unix.Close(fd)
		}
		result <- err
	}
	go try()
	err := <-result
	if err != nil && err != unix.EACCES {
		t.Fatal(err)
	}
	return err == nil
}

// On a real file system: a policy keeps one user out, a grant lets them in, its end
// keeps them out, and giving back leaves the file as it was, also where it was renamed.
func TestOnARealFileSystem(t *testing.T) {
	root := t.TempDir()
	path, state := filepath.Join(root, "data", "file"), filepath.Join(root, "state.json")
	for _, err := range []error{
		os.Chmod(filepath.Dir(root), 0o755), os.Chmod(root, 0o755), os.Mkdir(filepath.Dir(path), 0o755), os.WriteFile(path, []byte("x"), 0o644), os.Chmod(path, 0o644),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	files, accounts := linux.Files{Files: file.Files{AgentRoot: root}}, linux.LocalAccounts()
	k := fileaccess.Open(fileaccess.Config{
		File:  statefile.File{Path: state, Read: func(path string) ([]byte, error) { return files.ReadProtected(path, 1<<20) }, WriteAtomic: files.WriteAtomic},
		Lists: linux.AccessLists{Files: files.Files, Accounts: accounts}, Accounts: accounts, Clock: linux.Clock{}, Administrator: "0", Platform: core.Linux,
		Record: func(fileaccess.Event) error { return nil }, Log: slog.New(slog.DiscardHandler),
	})
	rule := core.FileRule{PolicyRef: core.PolicyRef{ID: "p"}, Users: []string{"nobody"}, Files: []string{filepath.Join(root, "data") + "/*"}}
	const nobody, other = 65534, 4242
	holds := func(when string, mine, others bool) {
		t.Helper()
		if got := reads(t, nobody, path); got != mine {
			t.Errorf("%s: the user reads it: %v", when, got)
		}
		if got := reads(t, other, path); got != others {
			t.Errorf("%s: another user reads it: %v", when, got)
		}
	}
	holds("before", true, true)
	k.SetRules(core.FileRules{Rules: []core.FileRule{rule}})
	k.Look()
	holds("denied", false, true)
	g, err := k.Give(fileaccess.Want{User: core.Account{User: "65534", Name: "nobody"}, Path: path, Length: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	holds("granted", true, true)
	if err := k.Revoke(fileaccess.File, g.ID, "65534", core.Principal{}); err != nil {
		t.Fatal(err)
	}
	holds("revoked", false, true)
	if _, err := k.Give(fileaccess.Want{User: core.Account{User: "65534", Name: "nobody"}, Path: path}); err != nil {
		t.Fatal(err)
	}
	moved := filepath.Join(root, "moved") // an administrator does this during the grant
	if err := os.Rename(path, moved); err != nil {
		t.Fatal(err)
	}
	if err := k.GiveBack(); err != nil {
		t.Fatal(err)
	}
	if _, err := unix.Getxattr(moved, file.ACLAttribute, nil); err != unix.ENODATA {
		t.Errorf("a list is left: %v", err)
	}
	if st, err := os.Stat(moved); err != nil || st.Mode() != 0o644 {
		t.Errorf("%v %v", st.Mode(), err)
	}
}
