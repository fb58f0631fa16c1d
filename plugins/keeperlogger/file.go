package keeperlogger

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/DeRuina/timberjack"
)

// open prepares the file. It rotates at its size and at midnight, and rotated
// files go when they are old; the active one never goes.
//
// folder is Config's.
func (c config) open(folder func(string) (string, error)) (*timberjack.Logger, error) {
	dir, err := folder(filepath.Dir(c.path))
	if err != nil {
		return nil, fmt.Errorf("keeperlogger: the log's folder: %w", err)
	}
	c.path = filepath.Join(dir, filepath.Base(c.path))
	if err := os.Chmod(c.path, 0o640); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("keeperlogger: %w", err)
	}
	return &timberjack.Logger{
		Filename: c.path, FileMode: 0o640,
		MaxSize: c.sizeMB, MaxAge: c.days, RotateAt: []string{"00:00"},
		LocalTime: true, BackupTimeFormat: "20060102_150405", Compression: "none",
	}, nil
}
