package port

import "kpm/core"

// AccessLists reads and changes the access control lists of files. A list is opaque
// to everyone else: bytes, which are equal if it is. Errors wrap errors.ErrUnsupported
// where the system, or the file's file system, has no such lists; fs.ErrNotExist;
// core.ErrNotRegular; or core.ErrNotProtected for a file that lies where others than
// administrators can put another one in its place.
type AccessLists interface {
	// Open opens the file at path, of which the last name is no link.
	Open(path string) (AccessFile, error)
	// Reopen opens the file that ref was of, wherever it lies now. The error wraps
	// fs.ErrNotExist if there is certainly no such file any more.
	Reopen(ref core.FileRef) (AccessFile, error)
	// Below returns the paths of regular files below a folder, at most limit. It
	// returns what it has found beside an error, which says what it has left out.
	Below(folder string, limit int) ([]string, error)
	// With returns list with an entry that gives user that access, and everybody
	// else what they have. It writes nothing.
	With(list []byte, user core.UserID, access core.Access) ([]byte, error)
	// Without returns list with what before has for user, and everybody else as they
	// are. It writes nothing.
	Without(list, before []byte, user core.UserID) ([]byte, error)
	// People returns the accounts of people that the machine's own database has.
	People() ([]core.Account, error)
}

// AccessFile is one open file. What it does, it does to this file, whatever has
// become of its names meanwhile.
type AccessFile interface {
	Ref() core.FileRef
	// Info says what it is, of when it was opened.
	Info() FileInfo
	// Read returns its list, and Write replaces it.
	Read() ([]byte, error)
	Write(list []byte) error
	Close() error
}
