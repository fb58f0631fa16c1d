package caller

import (
	"golang.org/x/sys/unix"

	port "kpm/core/port/caller"
)

// handles implements port.Handles with descriptors.
type handles struct{}

var _ port.Handles = handles{}

// Directory implements port.Handles.
func (handles) Directory() (uintptr, error) {
	fd, err := unix.Open(".", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	return uintptr(fd), err
}

// Program implements port.Handles.
func (handles) Program(path string) (uintptr, error) {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err == unix.ENOTDIR {
		err = unix.ENOENT
	}
	return uintptr(fd), err
}

// Standard implements port.Handles.
func (handles) Standard() [3]uintptr { return [3]uintptr{0, 1, 2} }

// Close implements port.Handles.
func (handles) Close(handle uintptr) { unix.Close(int(handle)) }
