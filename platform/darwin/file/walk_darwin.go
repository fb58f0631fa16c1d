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

	"kpm/platform/darwin/libsystem"
)

// maxLinks is how many symbolic links one path may lead through (MAXSYMLINKS,
// sys/param.h).
const maxLinks = 32

// opening are the flags by which a file or directory is opened to be looked at: a
// FIFO or a device is never opened, and nobody is waited for.
const opening = unix.O_RDONLY | unix.O_NONBLOCK | unix.O_NOCTTY | unix.O_NOFOLLOW | unix.O_CLOEXEC

// Walk goes from "/" to path, one component at a time, shows each to visit, and
// returns a descriptor of the last, a regular file or a directory. Symbolic links
// that visit lets pass are followed. Each step is taken from an open directory on a
// local file system: no rename can divert it, and no file server or file system in
// user space is asked.
func Walk(path string, visit func(Place) error) (int, Place, error) {
	if !filepath.IsAbs(path) {
		return -1, Place{}, fmt.Errorf("files: %q is not an absolute path: %w", path, fs.ErrInvalid)
	}
	mounts, err := AllMounts()
	if err != nil {
		return -1, Place{}, err
	}
	fd, at, err := mounts.step(unix.AT_FDCWD, "", "/")
	rest, links := components(path), 0
	for err == nil {
		if err = visit(at); err != nil || len(rest) == 0 {
			break
		}
		if !at.Mount.Local() {
			err = notLocal(at)
			break
		}
		next, there, missing := mounts.step(fd, at.Path, rest[0])
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
				next, there, err = mounts.step(unix.AT_FDCWD, "", "/")
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
func (all Mounts) step(dir int, from, name string) (int, Place, error) {
	at := Place{Path: filepath.Join(from, name)}
	if at.Mount = all.Of(at.Path); !at.Mount.Local() {
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
		at.List, err = accessList(fd)
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
		Dev: uint64(uint32(st.Dev)), Inode: st.Ino, Mode: st.Mode, UID: st.Uid, GID: st.Gid, Links: uint32(st.Nlink),
		Size: st.Size, Change: time.Unix(st.Ctim.Sec, st.Ctim.Nsec), Device: uint32(st.Rdev),
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
