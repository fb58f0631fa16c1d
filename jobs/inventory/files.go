package inventory

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"kpm/core"
)

// Bounds of an inventory of files.
const (
	maxFound  = 100_000
	maxUnread = 100
	maxHashed = 1 << 30 // bytes; a larger file has no hash
)

// program is one executable.
type program struct {
	Path     string    `json:"path"`
	Size     int64     `json:"size"`
	Modified time.Time `json:"modified"`
	Mode     string    `json:"mode"`
	SHA256   string    `json:"sha256,omitempty"`
}

// roots are where programs are installed on a system.
func roots(system core.Platform, getenv func(string) string) []string {
	switch system {
	case core.Windows:
		return []string{getenv("ProgramFiles"), getenv("ProgramFiles(x86)"), filepath.Join(getenv("SystemRoot"), "System32")}
	case core.MacOS:
		return []string{"/Applications", "/bin", "/sbin", "/usr/bin", "/usr/sbin", "/usr/local", "/opt"}
	}
	return []string{"/bin", "/sbin", "/usr/bin", "/usr/sbin", "/usr/local", "/opt", "/usr/games"}
}

// walk collects executables. It follows no link: what one leads to is found where it lies.
type walk struct {
	system core.Platform
	most   int // files
	skip   map[string]bool
	seen   map[string]bool // folders, links resolved
	found  []program
	cut    bool
	unread []string
}

// errEnough ends a walk.
var errEnough = errors.New("there are more files than an inventory holds")

func (w *walk) all(ctx context.Context, roots []string) error {
	w.seen = map[string]bool{}
	for _, root := range roots {
		if root == "" {
			continue
		}
		// /bin is a link on most systems.
		real, err := filepath.EvalSymlinks(root)
		if err != nil || w.seen[real] {
			continue
		}
		w.seen[real] = true
		err = filepath.WalkDir(real, func(path string, entry fs.DirEntry, err error) error {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return w.visit(path, entry, err)
		})
		if errors.Is(err, errEnough) {
			w.cut = true
			break
		}
		if err != nil {
			return err
		}
	}
	slices.SortFunc(w.found, func(a, b program) int { return strings.Compare(a.Path, b.Path) })
	w.found = slices.CompactFunc(w.found, func(a, b program) bool { return a.Path == b.Path })
	return nil
}

func (w *walk) visit(path string, entry fs.DirEntry, err error) error {
	switch {
	case err != nil:
		w.cannot(path)
		return nil
	case entry.IsDir() && w.skip[path]:
		return filepath.SkipDir
	case !entry.Type().IsRegular():
		return nil
	}
	info, err := entry.Info()
	if err != nil || !executable(w.system, path, info) {
		return nil // it has gone, or is no program
	}
	if len(w.found) == w.most {
		return errEnough
	}
	p := program{Path: path, Size: info.Size(), Modified: info.ModTime().UTC().Truncate(time.Second), Mode: info.Mode().String()}
	if p.SHA256, err = digest(path, info); err != nil {
		w.cannot(path)
	}
	w.found = append(w.found, p)
	return nil
}

func (w *walk) cannot(path string) {
	if len(w.unread) < maxUnread {
		w.unread = append(w.unread, path)
	}
}

func executable(system core.Platform, path string, info fs.FileInfo) bool {
	if system == core.Windows {
		return slices.Contains([]string{".exe", ".com", ".msi", ".bat", ".cmd", ".ps1"}, strings.ToLower(filepath.Ext(path)))
	}
	return info.Mode().Perm()&0o111 != 0
}

// digest is the SHA-256 of the file that was seen; empty for a very large one. A file that
// has been replaced since, by a pipe perhaps, is not read.
func digest(path string, seen fs.FileInfo) (string, error) {
	if seen.Size() > maxHashed {
		return "", nil
	}
	// A pipe in its place must not be waited for.
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return "", err
	}
	defer f.Close()
	if now, err := f.Stat(); err != nil || !os.SameFile(now, seen) {
		return "", errors.Join(err, errChanged)
	}
	hash := sha256.New()
	if _, err := io.Copy(hash, io.LimitReader(f, maxHashed)); err != nil {
		return "", err
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}

var errChanged = errors.New("it was replaced while it was looked at")
