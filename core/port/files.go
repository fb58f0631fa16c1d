package port

import (
	"context"
	"io"
	"os"
	"time"

	"kpm/core"
)

// Piece is how many bytes of a file are read at once where somebody else may
// wait for the processor meanwhile: a fraction of a millisecond's worth.
const Piece = 256 << 10

// FileInfo is what an open handle refers to. It is read from the handle, never
// by path, and reading it does not block on FIFOs, devices or FUSE.
type FileInfo struct {
	Path    string // where the kernel says the object is now
	Device  uint64
	Inode   uint64
	Size    int64
	Change  time.Time // inode change time: moves with every write and chmod
	Regular bool
	Dir     bool
	Links   int  // how many names it has
	Exec    bool // some execute bit is set
	Owner   core.UserID
}

// Files is everything that is done with files by name or handle (decision 26).
// Unless a method says otherwise, errors wrap fs.ErrNotExist, fs.ErrPermission,
// core.ErrNotRegular or core.ErrNotProtected.
type Files interface {
	Opener
	Protection
	Storage
}

// Opener finds, opens and describes files. It never blocks, whatever a path
// names.
type Opener interface {
	// Find resolves a bare command name on the platform's secure path and
	// returns a handle that cannot be read from.
	Find(name string) (*os.File, error)
	// Locate opens an absolute path, links followed, and returns a handle
	// that cannot be read from, of a file or a directory.
	Locate(path string) (*os.File, error)
	// Inspect says what f is.
	Inspect(f *os.File) (FileInfo, error)
	// Open opens the object behind f for reading. Regular files only.
	Open(f *os.File) (*os.File, error)
}

// Protection answers whether administrators alone can change, or read, a file.
// Its errors wrap core.ErrNotProtected and name the component, what is wrong
// with it and what to do.
type Protection interface {
	// Protected reports nil when f, a regular file or directory, and every
	// ancestor can be changed by administrators alone and lie on a local file
	// system.
	Protected(f *os.File) error
	// LocateProtected is Locate for a path that must lead to the same object
	// later on: every directory and link on the way, and what is found, must
	// be Protected. A regular file or a directory.
	LocateProtected(path string) (*os.File, error)
	// ReadProtected returns the contents of the regular file at path, which
	// must be Protected like everything on the way to it. A file of more than
	// limit bytes is core.ErrTooLarge.
	ReadProtected(path string, limit int64) ([]byte, error)
	// ProtectedRoot reports nil when path, absolute and without links, can be
	// the agent root: a directory that administrators alone can change, as can
	// all above it, directories apart in which everyone can make files but
	// nobody can touch another's (sticky ones).
	ProtectedRoot(path string) error
	// Private reports nil when administrators alone can read f, a regular file.
	Private(f *os.File) error
}

// Storage writes files.
type Storage interface {
	// Copy writes the bytes of src into dir under a name of its own, owned by
	// the administrator, readable and executable by reader and not writable by
	// it, and returns a handle to the finished copy and the bytes' SHA-256
	// (hex). The copy lets reader do what the original does: errors wrap
	// core.ErrMayNotRun, and core.ErrMayNotRead for a script. step is called
	// before each piece is read, of at most Piece bytes, and ends the copy by an
	// error.
	Copy(ctx context.Context, src *os.File, dir, base string, reader core.Account, step func() error) (*os.File, string, error)
	// WriteAtomic replaces path with data durably: after a power loss it holds
	// the old contents or the new.
	WriteAtomic(path string, data []byte, perm os.FileMode) error
	// Replace is WriteAtomic for what means nothing after a power loss, such as what a
	// running service says of itself. It waits for no disk: after a power loss path may
	// hold anything.
	Replace(path string, data []byte, perm os.FileMode) error
	// Lock takes the lock file at path until the result is closed. It does not
	// wait: a lock that somebody holds is an error.
	Lock(path string) (io.Closer, error)
}
