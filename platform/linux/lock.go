//go:build linux

package linux

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Lock implements port.Files. It creates the file 0600; the lock ends with this
// process as well. The error names the holder when it can.
//
// Attack: a caller hands over a file on their own file system, which does not
// answer when it is closed, and waits until the service ends. The thread that
// closes the file cannot be ended, and as long as it is there the dead process
// has its files open: the next service would be kept out until that caller
// relents. The lock of a process that is dead is taken from it.
func (Files) Lock(path string) (io.Closer, error) {
	lock, err := lock(path)
	if err != nil {
		return nil, fmt.Errorf("linux: lock %s: %w", path, err)
	}
	return lock, nil
}

func lock(path string) (io.Closer, error) {
	file, holder, err := tryLock(path)
	if holder == 0 || !isDead(holder) {
		return file, err
	}
	// One takes it away at a time, and looks again: the name may be another
	// file's by now, whose holder lives.
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	if err := unix.Flock(int(dir.Fd()), unix.LOCK_EX); err != nil {
		return nil, err
	}
	if file, holder, err = tryLock(path); holder == 0 || !isDead(holder) {
		return file, err
	}
	if err := os.Remove(path); err != nil {
		return nil, err
	}
	file, _, err = tryLock(path)
	return file, err
}

// tryLock takes the lock, or says which process has it, if the file does.
func tryLock(path string) (lock io.Closer, holder int, err error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, 0, err
	}
	if err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		text := make([]byte, 16)
		n, _ := file.ReadAt(text, 0)
		holder, _ := strconv.Atoi(strings.TrimSpace(string(text[:n])))
		return nil, holder, errors.Join(fmt.Errorf("held by pid %q: %w", text[:n], err), file.Close())
	}
	if err := errors.Join(file.Truncate(0), writeAll(file, fmt.Sprint(os.Getpid()))); err != nil {
		return nil, 0, errors.Join(err, file.Close())
	}
	return file, 0, nil
}

// isDead reports whether of a process only threads are left that the kernel
// cannot end.
func isDead(pid int) bool {
	s, ok := readStat(pid)
	return ok && s.dead()
}

func writeAll(file *os.File, text string) error {
	_, err := file.WriteAt([]byte(text), 0)
	return err
}
