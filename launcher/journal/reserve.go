package journal

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

const (
	reserveName = ".reserve"
	// reserveBytes is room for how more than two thousand requests ended.
	reserveBytes = 1 << 20
)

// hold sees to it that the reserve is there: room on the disk that is given up
// for records of what has happened when nothing else is left. Without it no
// request begins.
func (j *Journal) hold() error {
	if j.reserved {
		return nil
	}
	path := filepath.Join(j.cfg.AuditDir, reserveName)
	if info, err := os.Lstat(path); err == nil && info.Mode().IsRegular() && info.Size() == reserveBytes {
		j.reserved = true
		return nil
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := occupy(path); err != nil {
		return fmt.Errorf("%w (a part of the room that is set aside is used up)", errors.Join(err, os.Remove(path)))
	}
	j.reserved = true
	return nil
}

// occupy makes the reserve, in pieces: on a full disk the first one fails, and
// whoever asks for the journal meanwhile waits for no more.
func occupy(path string) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	piece := make([]byte, reserveBytes/16)
	for range reserveBytes / len(piece) {
		// Zeros take no room on a file system that compresses.
		if _, err = rand.Read(piece); err == nil {
			_, err = file.Write(piece)
		}
		if err != nil {
			break
		}
	}
	return errors.Join(err, file.Close())
}

// free gives the reserve up, and reports whether there was one.
func (j *Journal) free() bool {
	if !j.reserved || j.broken != nil {
		return false
	}
	j.reserved = false
	return os.Remove(filepath.Join(j.cfg.AuditDir, reserveName)) == nil
}
