//go:build unix

package owner

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// Folder makes the folder at dir if there is none, and returns its path without
// links. It is refused (ErrFolder) if somebody else than root and the account
// that this runs as could put links into it, or another folder in its place.
//
// Attack: a user replaces a log by a link to a file of root's, and has lines of
// theirs appended to it.
//
// It asks less than port.Protection, on purpose: a log may lie below a folder
// that a system daemon's group writes to, and on any file system.
func Folder(dir string) (string, error) {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return "", err
	}
	dir, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return "", err
	}
	for at := dir; ; at = filepath.Dir(at) {
		info, err := os.Lstat(at)
		if err != nil {
			return "", err
		}
		forbidden := fs.FileMode(0o022)
		if at != dir {
			forbidden = 0o002 // systems let the group of their own log daemon write to /var/log
		}
		if info.Mode()&fs.ModeSticky != 0 && at != dir {
			forbidden = 0 // nobody moves what is not theirs
		}
		if !info.IsDir() || info.Mode().Perm()&forbidden != 0 {
			return "", fmt.Errorf("%s: mode %v: %w", at, info.Mode(), ErrFolder)
		}
		if err := owned(info); err != nil {
			return "", fmt.Errorf("%s: %w: %w", at, err, ErrFolder)
		}
		if at == filepath.Dir(at) {
			return dir, nil
		}
	}
}

// owned accepts files of root and of the account that this runs as. The error
// names the owner.
func owned(info fs.FileInfo) error {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return fmt.Errorf("no owner")
	}
	if stat.Uid != 0 && int(stat.Uid) != os.Geteuid() {
		return fmt.Errorf("owner %d", stat.Uid)
	}
	return nil
}
