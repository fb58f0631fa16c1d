//go:build linux

package file

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// maxLinks is how many symbolic links one path may lead through, as in
// path_resolution(7).
const maxLinks = 40

// Walk goes from "/" to path, one component at a time, shows each to visit,
// and returns an O_PATH descriptor of the last. Symbolic links that visit lets
// pass are followed. Each step is taken from an open directory on a local file
// system: no rename can divert it, and no FUSE daemon or file server is asked.
func Walk(path string, visit func(Place) error) (int, Place, error) {
	if !filepath.IsAbs(path) {
		return -1, Place{}, fmt.Errorf("files: %q is not an absolute path: %w", path, fs.ErrInvalid)
	}
	fd, at, err := step(unix.AT_FDCWD, Place{}, "/")
	rest, links := components(path), 0
	for err == nil {
		if err = visit(at); err != nil || len(rest) == 0 {
			break
		}
		if !at.Mount.Local() {
			err = notLocal(at)
			break
		}
		next, there, missing := step(fd, at, rest[0])
		rest = rest[1:]
		if err = missing; err != nil {
			break
		}
		if there.Link() {
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
				next, there, err = step(unix.AT_FDCWD, Place{}, "/")
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

// step opens the object that name is in the directory dir, which is at from,
// without following a link.
func step(dir int, from Place, name string) (int, Place, error) {
	at := Place{Path: filepath.Join(from.Path, name), Mount: from.Mount}
	fd, err := OpenAt(dir, name, unix.O_PATH|unix.O_NOFOLLOW, 0)
	if err != nil {
		return -1, at, pathError(at.Path, err)
	}
	if at.Node, err = Stat(fd); err == nil && at.mountID != from.mountID {
		at.Mount, err = FindMount(fd, at.Node)
	}
	if err != nil {
		unix.Close(fd)
		return -1, at, pathError(at.Path, err)
	}
	return fd, at, nil
}

// readlink returns what the link behind fd says.
func readlink(fd int, at Place) (string, error) {
	if !at.Mount.Local() {
		return "", notLocal(at)
	}
	var buf [unix.PathMax]byte
	n, err := unix.Readlinkat(fd, "", buf[:])
	if err != nil {
		return "", pathError(at.Path, err)
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
