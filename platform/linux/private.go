//go:build linux

package linux

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"kpm/core"
)

// Private implements port.Files: root alone can read f. It is root's,
// others have no rights, and the group at most that of reading if it is root's
// group. So sshd(8) judges its host keys, but for the group. With an access
// control list the group bits are the most that any entry of it grants, and
// then the list must not be there.
func (Files) Private(f *os.File) error {
	return onDescriptor(f, func(fd int) error {
		at, err := whereIs(fd)
		if err != nil {
			return err
		}
		mode := at.mode & 0o7777
		switch {
		case !at.regular():
			return fmt.Errorf("files: %s: %w", at.path, core.ErrNotRegular)
		case at.uid != 0:
			return unprotected(at.path, fmt.Sprintf("belongs to uid %d, expected root; run chown root on it", at.uid))
		case mode&0o037 != 0:
			return unprotected(at.path, fmt.Sprintf("has mode %04o: others than root can use it; run chmod 600 on it", mode))
		case mode&0o040 != 0 && at.gid != 0:
			return unprotected(at.path, fmt.Sprintf("has mode %04o: group %d can read it; run chmod 600 on it", mode, at.gid))
		case mode&0o040 != 0 && carriesACL(fd):
			return unprotected(at.path, "has an access control list that lets others read it; run setfacl -b and chmod 600 on it")
		}
		return nil
	})
}

// carriesACL reports whether the open file has a POSIX access control list, and
// true if that cannot be told.
func carriesACL(fd int) bool {
	_, err := unix.Fgetxattr(fd, aclXattr, nil)
	return err != unix.ENODATA && err != unix.EOPNOTSUPP
}
