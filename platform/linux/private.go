//go:build linux

package linux

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"kpm/core"
	"kpm/platform/linux/file"
)

// Private implements port.Files: root alone can read f. It is root's,
// others have no rights, and the group at most that of reading if it is root's
// group. So sshd(8) judges its host keys, but for the group. With an access
// control list the group bits are the most that any entry of it grants, and
// then the list must not be there.
func (Files) Private(f *os.File) error {
	return onDescriptor(f, func(fd int) error {
		at, err := file.WhereIs(fd)
		if err != nil {
			return err
		}
		mode := at.Mode & 0o7777
		switch {
		case !at.Regular():
			return fmt.Errorf("files: %s: %w", at.Path, core.ErrNotRegular)
		case at.UID != 0:
			return file.Unprotected(at.Path, fmt.Sprintf("belongs to uid %d, expected root; run chown root on it", at.UID))
		case mode&0o037 != 0:
			return file.Unprotected(at.Path, fmt.Sprintf("has mode %04o: others than root can use it; run chmod 600 on it", mode))
		case mode&0o040 != 0 && at.GID != 0:
			return file.Unprotected(at.Path, fmt.Sprintf("has mode %04o: group %d can read it; run chmod 600 on it", mode, at.GID))
		case mode&0o040 != 0 && carriesACL(fd):
			return file.Unprotected(at.Path, "has an access control list that lets others read it; run setfacl -b and chmod 600 on it")
		}
		return nil
	})
}

// carriesACL reports whether the open file has a POSIX access control list, and
// true if that cannot be told.
func carriesACL(fd int) bool {
	_, err := unix.Fgetxattr(fd, file.ACLAttribute, nil)
	return err != unix.ENODATA && err != unix.EOPNOTSUPP
}
