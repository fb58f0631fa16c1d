//go:build linux

package file

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"kpm/core"
)

// ACLAttribute holds a file's POSIX access control list
// (linux/posix_acl_xattr.h).
const ACLAttribute = "system.posix_acl_access"

// Files answers the questions of port.Protection that need no more than this
// package.
type Files struct {
	// AgentRoot is the service's directory, without links. What lies in it is
	// Protected also if sticky directories of root's are above it (decision
	// 2). Empty means no such exception.
	AgentRoot string
}

// Protected implements port.Files.
func (s Files) Protected(f *os.File) error {
	return OnDescriptor(f, func(fd int) error {
		at, err := WhereIs(fd)
		if err != nil {
			return err
		}
		if !at.Regular() && !at.Dir() {
			return fmt.Errorf("files: %s: %w", at.Path, core.ErrNotRegular)
		}
		end, named, err := Walk(at.Path, refuseChangeable(s.rootAbove(at.Path)))
		if err != nil {
			return err
		}
		unix.Close(end)
		// The path was walked after the handle was opened: somebody may have
		// put another file there (CVE-2005-1993).
		if named.Dev != at.Dev || named.Inode != at.Inode {
			return Unprotected(at.Path, "names another file now; try again")
		}
		return nil
	})
}

// ProtectedRoot reports nil when path, an absolute one without links, is a
// directory that only root can change and reach through directories that only
// root can change; root's sticky directories may lie above it (decision 2).
// The error wraps core.ErrNotProtected and names component, fault and remedy.
func (Files) ProtectedRoot(path string) error {
	end, at, err := Walk(path, refuseChangeable(filepath.Clean(path)))
	if err != nil {
		return err
	}
	unix.Close(end)
	if !at.Dir() {
		return Unprotected(at.Path, "is not a directory; name one")
	}
	return nil
}

// refuseChangeable returns what refuses the first component that someone other than root
// can change. Directories above root, if that is not empty, may be sticky.
func refuseChangeable(root string) func(Place) error {
	return func(at Place) error {
		mode := at.Mode & 0o7777
		sticky := at.Dir() && mode&unix.S_ISVTX != 0 && strictlyAbove(at.Path, root)
		switch {
		case at.Link():
			return Unprotected(at.Path, "is a symbolic link; name what it leads to")
		case !at.Mount.Local():
			return notLocal(at)
		case at.Mount.image():
			return Unprotected(at.Path, "lies on a disk mounted nosuid, on which files have whatever owners its maker chose; move it, or mount the disk without nosuid")
		case at.UID != 0:
			return notRoots(at.Path, at.Node)
		case sticky:
			return nil
		case mode&0o002 != 0:
			return Unprotected(at.Path, fmt.Sprintf("has mode %04o: everyone can write to it; run chmod o-w on it", mode))
		case mode&0o020 != 0 && at.GID != 0:
			return Unprotected(at.Path, fmt.Sprintf("has mode %04o: group %d can write to it; run chmod g-w on it", mode, at.GID))
		case mode&0o020 != 0 && hasACL(at.Path):
			return Unprotected(at.Path, "has an access control list that lets others write to it; run setfacl -b on it")
		}
		return nil
	}
}

// RootAlone returns what is behind fd, which may be O_PATH, if root owns it and
// nobody else can write to it; name is for the error, which wraps
// core.ErrNotProtected.
//
// It is a narrower question than Protected on purpose, for what the agent itself
// has made: the way to it is not looked at, since fd stays open or the agent
// root was checked when the service started; and not even root's group may
// write, since nobody has a reason to let it. The group bits are also the most
// that an access control list grants.
func RootAlone(fd int, name string) (Node, error) {
	at, err := Stat(fd)
	switch {
	case err != nil:
		return at, fmt.Errorf("files: inspect %s: %w", name, err)
	case at.UID != 0:
		return at, notRoots(name, at)
	case at.Mode&0o022 != 0:
		return at, Unprotected(name, fmt.Sprintf("has mode %04o: others than root can write to it; run chmod go-w on it", at.Mode&0o7777))
	}
	return at, nil
}

func notRoots(name string, at Node) error {
	return Unprotected(name, fmt.Sprintf("belongs to uid %d, expected root; run chown root on it", at.UID))
}

// hasACL reports whether path, whose ancestors have been checked, has a
// POSIX access control list. With one, the group bits of the mode are the most
// that any entry grants: without the write bit there is no need to ask.
func hasACL(path string) bool {
	_, err := unix.Lgetxattr(path, ACLAttribute, nil)
	return err != unix.ENODATA && err != unix.EOPNOTSUPP
}

// strictlyAbove reports whether dir is an ancestor of path, which is clean.
func strictlyAbove(dir, path string) bool {
	return dir != path && (dir == "/" && path != "" || strings.HasPrefix(path, dir+"/"))
}

// Unprotected returns a core.ErrNotProtected that says what is wrong with path.
// It does not say what that means: whoever reads a file says what it expects.
func Unprotected(path, fault string) error {
	return core.Worded(core.ErrNotProtected, fmt.Sprintf("files: %s %s", path, fault))
}

func notLocal(at Place) error {
	return Unprotected(at.Path, fmt.Sprintf("lies on a %s file system, expected a local one; move it", at.Mount.Kind))
}
