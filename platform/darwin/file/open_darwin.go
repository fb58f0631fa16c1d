package file

import (
	"fmt"
	"io/fs"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"

	"kpm/core"
)

// PathOf is where the kernel says that the open file is (fcntl F_GETPATH). It asks
// no file system. What is no file, or has been removed, has none.
func PathOf(fd int) (string, error) {
	var buffer [unix.PathMax]byte
	//nolint:staticcheck // SA1019: x/sys has no wrapper of F_GETPATH, whose argument is a buffer
	_, _, errno := unix.Syscall(unix.SYS_FCNTL, uintptr(fd), unix.F_GETPATH, uintptr(unsafe.Pointer(&buffer[0])))
	if errno != 0 {
		return "", fmt.Errorf("files: path of a descriptor: %w: %w", errno, fs.ErrNotExist)
	}
	return unix.ByteSliceToString(buffer[:]), nil
}

// WhereIs says where the object behind fd is now, and what it is. Only what is on
// a local file system is described further than by path and mount.
//
// The path of a file that has been removed is one that it had (F_GETPATH): who
// opens it again compares what is there.
func WhereIs(fd int) (Place, error) {
	path, err := PathOf(fd)
	if err != nil {
		return Place{}, err
	}
	mounts, err := AllMounts()
	if err != nil {
		return Place{}, err
	}
	at := Place{Path: path, Mount: mounts.Of(path)}
	if !at.Mount.Local() && !at.Mount.Devices() {
		return at, notLocal(at)
	}
	if at.Node, err = Stat(fd); err != nil {
		return at, fmt.Errorf("files: inspect %s: %w", at.Path, err)
	}
	if at.Links == 0 {
		return at, fmt.Errorf("files: %s has no place in the file system: %w", at.Path, fs.ErrNotExist)
	}
	if at.List, err = accessList(fd); err != nil {
		return at, fmt.Errorf("files: inspect %s: %w", at.Path, err)
	}
	return at, nil
}

// Reopen opens what fd refers to again, for reading: by its path, where nothing on
// the way may be a link, and what is there must be the same object.
func Reopen(fd int) (*os.File, error) {
	at, err := WhereIs(fd)
	if err != nil {
		return nil, err
	}
	if !at.Regular() {
		return nil, fmt.Errorf("files: %s: %w", at.Path, core.ErrNotRegular)
	}
	again, err := OpenAt(unix.AT_FDCWD, at.Path, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_NOFOLLOW_ANY, 0)
	if err != nil {
		return nil, pathError(at.Path, err)
	}
	there, err := Stat(again)
	if err == nil && !there.Same(at.Node) {
		err = Unprotected(at.Path, "names another file now; try again")
	}
	if err == nil {
		err = unix.SetNonblock(again, false)
	}
	if err != nil {
		unix.Close(again)
		return nil, err
	}
	return os.NewFile(uintptr(again), at.Path), nil
}

// isA returns an error that says what is there instead of want, a regular file or
// a directory.
func isA(at Place, want uint16) error {
	kind := "a special file"
	switch at.Mode & kindMask {
	case want:
		return nil
	case kindLink:
		kind = "a link"
	case kindDir:
		kind = "a folder"
	case kindFile:
		kind = "a file"
	}
	if want == kindDir {
		return fmt.Errorf("files: %s is %s: %w", at.Path, kind, unix.ENOTDIR)
	}
	return fmt.Errorf("files: %s is %s: %w", at.Path, kind, core.ErrNotRegular)
}
