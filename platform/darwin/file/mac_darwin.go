package file

import (
	"fmt"

	"golang.org/x/sys/unix"

	"kpm/platform/darwin/libsystem"
)

// here is this machine as it is at this moment.
func here() (way, error) {
	mounts, err := AllMounts()
	return way{mounts: mounts, list: accessList}, err
}

// Walk goes from "/" to path, one component at a time, shows each to visit, and
// returns a descriptor of the last, a regular file or a directory, -1 if it is
// neither. Symbolic links that visit lets pass are followed.
func Walk(path string, visit func(Place) error) (int, Place, error) {
	w, err := here()
	if err != nil {
		return -1, Place{}, err
	}
	return w.walk(path, visit)
}

// accessList returns the access control list of fd's object, "" for none.
func accessList(fd int) (string, error) {
	calls, err := libsystem.Bound()
	if err != nil {
		return "", err
	}
	return calls.AccessList(fd)
}

// AllMounts returns what is mounted, from the kernel's memory: nobody is asked.
func AllMounts() (Mounts, error) {
	n, err := unix.Getfsstat(nil, unix.MNT_NOWAIT)
	if err != nil {
		return nil, fmt.Errorf("files: mounts: %w", err)
	}
	table := make([]unix.Statfs_t, n+8) // some may be mounted meanwhile
	if n, err = unix.Getfsstat(table, unix.MNT_NOWAIT); err != nil {
		return nil, fmt.Errorf("files: mounts: %w", err)
	}
	var all Mounts
	for _, m := range table[:n] {
		all = append(all, Mount{
			On: unix.ByteSliceToString(m.Mntonname[:]), Kind: unix.ByteSliceToString(m.Fstypename[:]), Flags: m.Flags,
		})
	}
	return all, nil
}
