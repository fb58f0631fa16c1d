package keeperlogger

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/DeRuina/timberjack"
)

// errFolder means that the log would lie where others can put links.
var errFolder = errors.New("others than administrators can write to the log's folder or to one above it")

// open prepares the file. It rotates at its size and at midnight, and rotated
// files go when they are old; the active one never goes.
//
// owned reports whether a folder belongs to an administrator; nil checks the
// mode bits only.
func (c config) open(owned func(fs.FileInfo) error) (*timberjack.Logger, error) {
	dir := filepath.Dir(c.path)
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, fmt.Errorf("keeperlogger: %w", err)
	}
	dir, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return nil, fmt.Errorf("keeperlogger: %w", err)
	}
	c.path = filepath.Join(dir, filepath.Base(c.path))
	if err := trusted(dir, owned); err != nil {
		return nil, fmt.Errorf("keeperlogger: %w", err)
	}
	if err := os.Chmod(c.path, 0o640); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("keeperlogger: %w", err)
	}
	return &timberjack.Logger{
		Filename: c.path, FileMode: 0o640,
		MaxSize: c.sizeMB, MaxAge: c.days, RotateAt: []string{"00:00"},
		LocalTime: true, BackupTimeFormat: "20060102_150405", Compression: "none",
	}, nil
}

// trusted refuses a folder, without links, that somebody else could put links
// into or another folder in the place of. Attack: a user replaces the log by a
// link to a file of root's, and has lines of theirs appended to it.
//
// It asks less than port.Protection, on purpose: a log may lie below a folder
// that a system daemon's group writes to, and on any file system.
func trusted(dir string, owned func(fs.FileInfo) error) error {
	for at := dir; ; at = filepath.Dir(at) {
		info, err := os.Lstat(at)
		if err != nil {
			return err
		}
		forbidden := fs.FileMode(0o022)
		if at != dir {
			forbidden = 0o002 // systems let the group of their own log daemon write to /var/log
		}
		if info.Mode()&fs.ModeSticky != 0 && at != dir {
			forbidden = 0 // nobody moves what is not theirs
		}
		if !info.IsDir() || info.Mode().Perm()&forbidden != 0 {
			return fmt.Errorf("%s: mode %v: %w", at, info.Mode(), errFolder)
		}
		if owned != nil {
			if err := owned(info); err != nil {
				return fmt.Errorf("%s: %w: %w", at, err, errFolder)
			}
		}
		if at == filepath.Dir(at) {
			return nil
		}
	}
}
