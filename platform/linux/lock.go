//go:build linux

package linux

import (
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// Lock takes the lock file at path, creating it 0600, until the result is
// closed or this process ends. It does not wait: a lock that is held is an
// error that names the holder when it can.
func Lock(path string) (io.Closer, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, fmt.Errorf("linux: lock: %w", err)
	}
	if err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		holder := make([]byte, 16)
		n, _ := file.ReadAt(holder, 0)
		return nil, errors.Join(fmt.Errorf("linux: lock %s: held by pid %q: %w", path, holder[:n], err), file.Close())
	}
	if err := errors.Join(file.Truncate(0), writeAll(file, fmt.Sprint(os.Getpid()))); err != nil {
		return nil, errors.Join(fmt.Errorf("linux: lock %s: %w", path, err), file.Close())
	}
	return file, nil
}

func writeAll(file *os.File, text string) error {
	_, err := file.WriteAt([]byte(text), 0)
	return err
}
