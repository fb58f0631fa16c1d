package file

import (
	"fmt"
	"path/filepath"
	"strings"

	"kpm/core"
)

// Changeable returns what refuses the first component that someone other than
// root can change. Directories above root, if that is not empty, may be sticky
// (decision 2). Its errors wrap core.ErrNotProtected and name the component, what
// is wrong with it and what to do.
func Changeable(root string) func(Place) error {
	return func(at Place) error {
		mode := at.Mode & 0o7777
		spared := at.Dir() && mode&sticky != 0 && strictlyAbove(at.Path, root)
		switch {
		case at.Link():
			return Unprotected(at.Path, "is a symbolic link; name what it leads to")
		case !at.Mount.Local():
			return notLocal(at)
		case at.Mount.image():
			return Unprotected(at.Path, "lies on a disk whose owners do not count (mounted nosuid, or with ownership ignored); move it, or use vsdbutil -a and mount the disk again")
		case at.UID != 0:
			return Unprotected(at.Path, fmt.Sprintf("belongs to uid %d, expected root; run chown root:wheel on it", at.UID))
		case Grants(at.List) != "":
			return Unprotected(at.Path, fmt.Sprintf("has an access control list that lets others change it (%s); run chmod -N on it", Grants(at.List)))
		case spared:
			return nil
		case mode&0o002 != 0:
			return Unprotected(at.Path, fmt.Sprintf("has mode %04o: everyone can write to it; run chmod o-w on it", mode))
		case mode&0o020 != 0 && at.GID != 0: // wheel
			return Unprotected(at.Path, fmt.Sprintf("has mode %04o: group %d can write to it; run chmod g-w on it", mode, at.GID))
		}
		return nil
	}
}

// RootAlone returns nil if root owns the object and nobody else can write to it.
//
// It is a narrower question than Protected on purpose, for what the agent itself
// has made: the way to it is not looked at, and not even root's group may write.
func RootAlone(at Place) error {
	mode := at.Mode & 0o7777
	switch {
	case at.UID != 0:
		return Unprotected(at.Path, fmt.Sprintf("belongs to uid %d, expected root; run chown root:wheel on it", at.UID))
	case mode&0o022 != 0:
		return Unprotected(at.Path, fmt.Sprintf("has mode %04o: others than root can write to it; run chmod go-w on it", mode))
	case Grants(at.List) != "":
		return Unprotected(at.Path, fmt.Sprintf("has an access control list that lets others change it (%s); run chmod -N on it", Grants(at.List)))
	}
	return nil
}

// Private returns nil if root alone can read the object, a regular file.
func Private(at Place) error {
	mode := at.Mode & 0o7777
	switch {
	case !at.Regular():
		return fmt.Errorf("files: %s: %w", at.Path, core.ErrNotRegular)
	case at.UID != 0:
		return Unprotected(at.Path, fmt.Sprintf("belongs to uid %d, expected root; run chown root:wheel on it", at.UID))
	case at.Mount.image():
		return Unprotected(at.Path, "lies on a disk whose owners do not count; move it")
	case mode&0o037 != 0:
		return Unprotected(at.Path, fmt.Sprintf("has mode %04o: others than root can use it; run chmod 600 on it", mode))
	case mode&0o040 != 0 && at.GID != 0:
		return Unprotected(at.Path, fmt.Sprintf("has mode %04o: group %d can read it; run chmod 600 on it", mode, at.GID))
	case Reads(at.List) != "":
		return Unprotected(at.Path, fmt.Sprintf("has an access control list that lets others read it (%s); run chmod -N on it", Reads(at.List)))
	}
	return nil
}

// strictlyAbove reports whether dir is an ancestor of path, which is clean.
func strictlyAbove(dir, path string) bool {
	return dir != path && (dir == "/" && path != "" || strings.HasPrefix(path, dir+"/"))
}

// RootAbove is root if path is it or lies in it, else empty.
func RootAbove(root, path string) string {
	if clean := filepath.Clean(path); clean == root || strictlyAbove(root, clean) {
		return root
	}
	return ""
}

// Unprotected returns a core.ErrNotProtected that says what is wrong with path.
func Unprotected(path, fault string) error {
	return core.Worded(core.ErrNotProtected, fmt.Sprintf("files: %s %s", path, fault))
}

func notLocal(at Place) error {
	return Unprotected(at.Path, fmt.Sprintf("lies on a %s file system, expected a local apfs or hfs one; move it", at.Mount.Kind))
}
