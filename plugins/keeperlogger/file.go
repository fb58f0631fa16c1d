package keeperlogger

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/DeRuina/timberjack"
)

// open prepares the file. It rotates at its size and at midnight; what was rotated is
// total's.
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
		MaxSize: c.sizeMB, RotateAt: []string{"00:00"},
		LocalTime: true, BackupTimeFormat: stampLayout, Compression: "none",
	}, nil
}
