//go:build linux

package caller

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"
)

// A file serves for a terminal that cannot be locked: one at a time has its turn.
func TestTurnsByAFile(t *testing.T) {
	folder := t.TempDir()
	fd := ownFile(folder)
	if fd < 0 {
		t.Fatal("there is no file")
	}
	defer unix.Close(fd)
	own := turn{fd}
	if !own.take() || own.taken() {
		t.Error("the first has no turn")
	}
	// Locks of an open file count against those of a process, its own too.
	other, err := os.OpenFile(filepath.Join(folder, ".keepersudo-"+strconv.Itoa(os.Geteuid())), os.O_RDWR, 0)
	must(t, err)
	defer other.Close()
	lock := func(kind int16) error { return unix.FcntlFlock(other.Fd(), unix.F_OFD_SETLK, own.lock(kind)) }
	if err := lock(unix.F_WRLCK); err != unix.EAGAIN {
		t.Errorf("another one takes it meanwhile: %v", err)
	}
	own.give()
	must(t, lock(unix.F_WRLCK))
	if own.take() || !own.taken() {
		t.Error("two have it at once")
	}
	must(t, lock(unix.F_UNLCK))
	if !own.take() {
		t.Error("it is nobody's")
	}
}

// Attack: somebody else's file is where ours is to be, and locked for ever.
func TestFilesThatAreNotOurs(t *testing.T) {
	name := ".keepersudo-" + strconv.Itoa(os.Geteuid())
	for what, make := range map[string]func(path string) error{
		"a stranger's": func(path string) error {
			return errors.Join(os.WriteFile(path, nil, 0o600), os.Chown(path, 4242, 4242))
		},
		"one for others too": func(path string) error { return errors.Join(os.WriteFile(path, nil, 0o600), os.Chmod(path, 0o622)) },
		"a link":             func(path string) error { return os.Symlink("/etc/passwd", path) },
		"another name of ours": func(path string) error {
			return errors.Join(os.WriteFile(path+".other", nil, 0o600), os.Link(path+".other", path))
		},
		"a pipe":   func(path string) error { return unix.Mkfifo(path, 0o600) },
		"a folder": func(path string) error { return os.Mkdir(path, 0o700) },
	} {
		folder := t.TempDir()
		must(t, make(filepath.Join(folder, name)))
		if fd := ownFile(folder); fd >= 0 {
			t.Errorf("%s was taken", what)
		} else if own := (turn{fd}); !own.take() || own.taken() {
			t.Errorf("%s: it is nobody's turn", what)
		}
	}
}
