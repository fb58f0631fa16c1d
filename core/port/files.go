package port

import (
	"context"
	"kpm/core"
	"os"
	"time"
)

// FileInfo is what an open handle refers to. It is read from the handle, never
// by path, and reading it does not block on FIFOs, devices or FUSE.
type FileInfo struct {
	Path    string // where the kernel says the object is now
	Device  uint64
	Inode   uint64
	Size    int64
	Change  time.Time // inode change time: moves with every write and chmod
	Regular bool
	Exec    bool // some execute bit is set
	Owner   core.UserID
}

// Files opens, checks and copies programs (decision 26). Errors wrap
// fs.ErrNotExist, fs.ErrPermission, ErrNotRegular or ErrNotProtected.
type Files interface {
	// Find resolves a bare command name on the fixed secure path and returns
	// a handle that cannot be read from.
	Find(name string) (*os.File, error)
	// Locate opens an absolute path, links followed, and returns a handle
	// that cannot be read from, of a file or a directory. It never blocks,
	// whatever the path names.
	Locate(path string) (*os.File, error)
	// LocateProtected is Locate for a path that must lead to the same object
	// later on: every directory and link on the way, and what is found, must
	// be Protected. A regular file or a directory.
	LocateProtected(path string) (*os.File, error)
	// Inspect says what f is.
	Inspect(f *os.File) (FileInfo, error)
	// Protected reports nil when f, a regular file or directory, and every
	// ancestor belong to root, are writable by no one else and lie on a local
	// file system; otherwise ErrNotProtected with the component and the fault.
	Protected(f *os.File) error
	// Open opens the object behind f for reading. Regular files only; the
	// open never blocks.
	Open(f *os.File) (*os.File, error)
	// Copy writes the bytes of src into dir under a name of its own, owned by
	// root, readable and executable by reader and not writable by it, and
	// returns a handle to the finished copy and the bytes' SHA-256 (hex).
	Copy(ctx context.Context, src *os.File, dir, base string, reader core.Account) (*os.File, string, error)
	// WriteAtomic replaces path with data durably: temporary file, fsync,
	// rename, fsync of the directory.
	WriteAtomic(path string, data []byte, perm os.FileMode) error
}
