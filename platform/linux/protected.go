//go:build linux

package linux

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"kpm/core"
)

// maxLinks is how many symbolic links one path may lead through, as in
// path_resolution(7).
const maxLinks = 40

// Protected implements port.Files.
func (s Files) Protected(f *os.File) error {
	return onDescriptor(f, func(fd int) error {
		at, err := whereIs(fd)
		if err != nil {
			return err
		}
		if !at.regular() && !at.dir() {
			return fmt.Errorf("files: %s: %w", at.path, core.ErrNotRegular)
		}
		root := s.AgentRoot
		if at.path != root && !strictlyAbove(root, at.path) {
			root = ""
		}
		end, named, err := walk(at.path, vouch(root))
		if err != nil {
			return err
		}
		unix.Close(end)
		// The path was walked after the handle was opened: somebody may have
		// put another file there (CVE-2005-1993).
		if named.dev != at.dev || named.ino != at.ino {
			return unprotected(at.path, "names another file now; try again")
		}
		return nil
	})
}

// ProtectedRoot reports nil when path, an absolute one without links, is a
// directory that only root can change and reach through directories that only
// root can change; root's sticky directories may lie above it (decision 2).
// The error wraps core.ErrNotProtected and names component, fault and remedy.
func (Files) ProtectedRoot(path string) error {
	end, at, err := walk(path, vouch(filepath.Clean(path)))
	if err != nil {
		return err
	}
	unix.Close(end)
	if !at.dir() {
		return unprotected(at.path, "is not a directory; name one")
	}
	return nil
}

// vouch returns what refuses the first component that someone other than root
// can change. Directories above root, if that is not empty, may be sticky.
func vouch(root string) func(place) error {
	return func(at place) error {
		mode := at.mode & 0o7777
		sticky := at.dir() && mode&unix.S_ISVTX != 0 && strictlyAbove(at.path, root)
		switch {
		case at.link():
			return unprotected(at.path, "is a symbolic link; name what it leads to")
		case !at.mount.local():
			return notLocal(at)
		case at.mount.image():
			return unprotected(at.path, "lies on a disk mounted nosuid, on which files have whatever owners its maker chose; move it, or mount the disk without nosuid")
		case at.uid != 0:
			return unprotected(at.path, fmt.Sprintf("belongs to uid %d, expected root; run chown root on it", at.uid))
		case sticky:
			return nil
		case mode&0o002 != 0:
			return unprotected(at.path, fmt.Sprintf("has mode %04o: everyone can write to it; run chmod o-w on it", mode))
		case mode&0o020 != 0 && at.gid != 0:
			return unprotected(at.path, fmt.Sprintf("has mode %04o: group %d can write to it; run chmod g-w on it", mode, at.gid))
		case mode&0o020 != 0 && hasACL(at.path):
			return unprotected(at.path, "has an access control list that lets others write to it; run setfacl -b on it")
		}
		return nil
	}
}

// hasACL reports whether path, whose ancestors have been vouched for, has a
// POSIX access control list. With one, the group bits of the mode are the most
// that any entry grants: without the write bit there is no need to ask.
func hasACL(path string) bool {
	_, err := unix.Lgetxattr(path, aclXattr, nil)
	return err != unix.ENODATA && err != unix.EOPNOTSUPP
}

// strictlyAbove reports whether dir is an ancestor of path, which is clean.
func strictlyAbove(dir, path string) bool {
	return dir != path && (dir == "/" && path != "" || strings.HasPrefix(path, dir+"/"))
}

func unprotected(path, fault string) error {
	return fmt.Errorf("files: %s %s: %w", path, fault, core.ErrNotProtected)
}

func notLocal(at place) error {
	return unprotected(at.path, fmt.Sprintf("lies on a %s file system, expected a local one; move it", at.mount.kind))
}

// walk goes from "/" to path, one component at a time, shows each to visit,
// and returns an O_PATH descriptor of the last. Symbolic links that visit lets
// pass are followed. Each step is taken from an open directory on a local file
// system: no rename can divert it, and no FUSE daemon or file server is asked.
func walk(path string, visit func(place) error) (int, place, error) {
	if !filepath.IsAbs(path) {
		return -1, place{}, fmt.Errorf("files: %q is not an absolute path: %w", path, fs.ErrInvalid)
	}
	fd, at, err := step(unix.AT_FDCWD, place{}, "/")
	rest, links := components(path), 0
	for err == nil {
		if err = visit(at); err != nil || len(rest) == 0 {
			break
		}
		if !at.mount.local() {
			err = notLocal(at)
			break
		}
		next, there, missing := step(fd, at, rest[0])
		rest = rest[1:]
		if err = missing; err != nil {
			break
		}
		if there.link() {
			if links++; links > maxLinks {
				err = pathError(path, unix.ELOOP)
			} else if err = visit(there); err == nil {
				var target string
				target, err = readlink(next, there)
				rest = append(components(target), rest...)
				unix.Close(next)
				if !filepath.IsAbs(target) {
					continue
				}
				next, there, err = step(unix.AT_FDCWD, place{}, "/")
			}
		}
		unix.Close(fd)
		fd, at = next, there
	}
	if err != nil && fd >= 0 {
		unix.Close(fd)
		fd = -1
	}
	return fd, at, err
}

// step opens the object that name is in the directory dir, which is at from,
// without following a link.
func step(dir int, from place, name string) (int, place, error) {
	at := place{path: filepath.Join(from.path, name), mount: from.mount}
	fd, err := openat(dir, name, unix.O_PATH|unix.O_NOFOLLOW, 0)
	if err != nil {
		return -1, at, pathError(at.path, err)
	}
	if at.node, err = stat(fd); err == nil && at.mountID != from.mountID {
		at.mount, err = findMount(fd, at.node)
	}
	if err != nil {
		unix.Close(fd)
		return -1, at, pathError(at.path, err)
	}
	return fd, at, nil
}

// readlink returns what the link behind fd says.
func readlink(fd int, at place) (string, error) {
	if !at.mount.local() {
		return "", notLocal(at)
	}
	var buf [unix.PathMax]byte
	n, err := unix.Readlinkat(fd, "", buf[:])
	if err != nil {
		return "", pathError(at.path, err)
	}
	return string(buf[:n]), nil
}

// components splits a path; ".." stays, since it is the kernel that knows where
// it leads.
func components(path string) []string {
	return slices.DeleteFunc(strings.Split(path, "/"), func(name string) bool { return name == "" || name == "." })
}

// pathError names path in err. A path that leads through something other than
// a directory, or nowhere, names nothing.
func pathError(path string, err error) error {
	if errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ELOOP) || errors.Is(err, unix.ENAMETOOLONG) {
		return fmt.Errorf("files: %s: %w: %w", path, err, fs.ErrNotExist)
	}
	return fmt.Errorf("files: %s: %w", path, err)
}
