//go:build unix

package file

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// maxLinks is how many symbolic links one path may lead through (MAXSYMLINKS,
// sys/param.h).
const maxLinks = 32

// opening are the flags by which a file or directory is opened to be looked at: a
// FIFO or a device is never opened, and nobody is waited for.
const opening = unix.O_RDONLY | unix.O_NONBLOCK | unix.O_NOCTTY | unix.O_NOFOLLOW | unix.O_CLOEXEC

// way is what is known before a path is walked: what is mounted, and what reads an
// object's access control list, "" for none.
type way struct {
	mounts Mounts
	list   func(fd int) (string, error)
}

// walk goes from "/" to path, one component at a time, shows each to visit, and
// returns a descriptor of the last, a regular file or a directory. Symbolic links
// that visit lets pass are followed. Each step is taken from an open directory on a
// local file system: no rename can divert it, and no file server or file system in
// user space is asked.
func (w way) walk(path string, visit func(Place) error) (int, Place, error) {
	if !filepath.IsAbs(path) {
		return -1, Place{}, fmt.Errorf("files: %q is not an absolute path: %w", path, fs.ErrInvalid)
	}
	fd, at, err := w.step(unix.AT_FDCWD, "", "/")
	rest, links := components(path), 0
	for err == nil {
		if err = visit(at); err != nil || len(rest) == 0 {
			break
		}
		if !at.Mount.Local() {
			err = notLocal(at)
			break
		}
		next, there, missing := w.step(fd, at.Path, rest[0])
		rest = rest[1:]
		if err = missing; err != nil {
			break
		}
		if there.Link() {
			if links++; links > maxLinks {
				err = pathError(path, unix.ELOOP)
			} else if err = visit(there); err == nil {
				var target string
				target, err = readlink(fd, there)
				rest = append(components(target), rest...)
				if !filepath.IsAbs(target) {
					continue
				}
				next, there, err = w.step(unix.AT_FDCWD, "", "/")
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

// Anywhere lets a walk pass everything.
func Anywhere(Place) error { return nil }

// step opens the object that name is in the directory dir, at from, without
// following a link; a link is looked at and not opened.
//
// Attack: a path leads to a FIFO, a device or another's file system, and opening
// waits for ever or does something. What the mount table says is looked at first,
// and what fstatat(2) says before it is opened.
func (w way) step(dir int, from, name string) (int, Place, error) {
	at := Place{Path: filepath.Join(from, name)}
	if at.Mount = w.mounts.Of(at.Path); !at.Mount.Local() {
		return -1, at, notLocal(at)
	}
	var st unix.Stat_t
	if err := unix.Fstatat(dir, name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return -1, at, pathError(at.Path, err)
	}
	at.Node = nodeOf(&st)
	if !at.Regular() && !at.Dir() {
		return -1, at, nil
	}
	fd, err := OpenAt(dir, name, opening, 0)
	if err != nil {
		return -1, at, pathError(at.Path, err)
	}
	opened, err := Stat(fd)
	if err == nil {
		at.List, err = w.list(fd)
	}
	switch {
	case err != nil:
		err = pathError(at.Path, err)
	case !opened.Same(at.Node):
		err = Unprotected(at.Path, "names another file now; try again")
	default:
		at.Node = opened
		return fd, at, nil
	}
	unix.Close(fd)
	return -1, at, err
}

// readlink returns what the link at, in the directory dir, says.
func readlink(dir int, at Place) (string, error) {
	var buf [unix.PathMax]byte
	n, err := unix.Readlinkat(dir, filepath.Base(at.Path), buf[:])
	if err != nil {
		return "", pathError(at.Path, err)
	}
	return string(buf[:n]), nil
}

// Stat describes fd. On a file system that is not local it can wait for its
// server: WhereIs first says whether it is one.
func Stat(fd int) (Node, error) {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return Node{}, err
	}
	return nodeOf(&st), nil
}

func nodeOf(st *unix.Stat_t) Node {
	return Node{
		Dev: uint64(uint32(st.Dev)), Inode: st.Ino, Mode: uint16(st.Mode), UID: st.Uid, GID: st.Gid, Links: uint32(st.Nlink),
		Size: st.Size, Change: time.Unix(int64(st.Ctim.Sec), int64(st.Ctim.Nsec)), Device: uint32(st.Rdev),
	}
}

// OpenAt opens close-on-exec and tries again when a signal interrupts it.
func OpenAt(dir int, name string, flags int, perm uint32) (int, error) {
	for {
		fd, err := unix.Openat(dir, name, flags|unix.O_CLOEXEC, perm)
		if err != unix.EINTR {
			return fd, err
		}
	}
}

// components splits a path; ".." stays, since it is the kernel that knows where
// it leads.
func components(path string) []string {
	return slices.DeleteFunc(strings.Split(path, "/"), func(name string) bool { return name == "" || name == "." })
}

// pathError names path in err. A path that leads through something other than a
// directory, or nowhere, names nothing. EPERM is what the privacy settings (TCC)
// answer even to root.
func pathError(path string, err error) error {
	switch {
	case errors.Is(err, unix.ENOTDIR), errors.Is(err, unix.ELOOP), errors.Is(err, unix.ENAMETOOLONG):
		return fmt.Errorf("files: %s: %w: %w", path, err, fs.ErrNotExist)
	case errors.Is(err, unix.EPERM):
		return fmt.Errorf("files: %s: %w; macOS keeps this folder from services: give KeeperPrivilegeManager Full Disk Access", path, err)
	}
	return fmt.Errorf("files: %s: %w", path, err)
}
