package core

import (
	"context"
	"net"
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
	Owner   UserID
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
	Copy(ctx context.Context, src *os.File, dir, base string, reader Account) (*os.File, string, error)
	// WriteAtomic replaces path with data durably: temporary file, fsync,
	// rename, fsync of the directory.
	WriteAtomic(path string, data []byte, perm os.FileMode) error
}

// LaunchSpec is one program to start. Argv stays a slice from the caller's
// execve to ours; nothing joins or splits it.
type LaunchSpec struct {
	// Executable is the sealed handle, executed itself. For a script, Script
	// is its resolved path, and the handle is compared with what that path
	// names immediately before exec.
	Executable *os.File
	Script     string
	Argv       []string
	Env        []string
	Dir        *os.File
	// Stdio become descriptors 0, 1 and 2; nothing else is inherited.
	Stdio [3]*os.File
	// Terminal, if not nil, becomes the controlling terminal of the new
	// session. It is the slave side and one of Stdio.
	Terminal *os.File
	Account  Account
}

// Launcher starts processes in two phases (decision 32).
type Launcher interface {
	// Prepare starts a child that is held before exec and ends by itself if
	// this service goes away. The child already is what Held.ID says.
	Prepare(ctx context.Context, spec LaunchSpec) (Held, error)
}

// Held is a child that waits. Exactly one of Release and Discard is called.
type Held interface {
	ID() ProcessID
	// Group names the launch group so that a restarted service finds it.
	Group() string
	// Release lets the child exec. It returns when exec has succeeded, or
	// with the reason why it did not; then no process remains.
	Release(ctx context.Context) (Process, error)
	// Discard ends the child. Nothing has run, and nothing will; it may be
	// Alive a while longer if the kernel waits for one of its descriptors.
	Discard()
}

// Process is a running child.
type Process interface {
	ID() ProcessID
	// Wait blocks until the child has ended and been reaped, or ctx is done.
	Wait(ctx context.Context) (ExitStatus, error)
	// Signal sends sig to the child's process group.
	Signal(sig int) error
	// Kill ends every process of the launch group.
	Kill() error
}

// ProcessTree finds and ends launch groups without holding their Process.
type ProcessTree interface {
	// Self is this process.
	Self() ProcessID
	// Alive reports whether exactly this process still exists, not a later
	// one with its pid.
	Alive(id ProcessID) bool
	// Member reports whether pid belongs to the launch group of root.
	Member(root ProcessID, group string, pid ProcessID) bool
	// Empty reports whether no process of the group is left.
	Empty(root ProcessID, group string) bool
	// KillGroup ends what remains of a group and returns how many processes
	// that were.
	KillGroup(root ProcessID, group string) (int, error)
}

// Terminals makes pseudo terminals.
type Terminals interface {
	// IsTerminal reports whether f is a terminal, without reading from it.
	IsTerminal(f *os.File) bool
	// Open makes a pair whose slave belongs to owner, of rows by columns
	// characters; 24 by 80 where one is 0, so that no program starts on a
	// window without room. The service keeps neither end: the slave goes to
	// the child, the master to the caller, who sets the size from then on.
	Open(owner Account, rows, columns uint16) (master, slave *os.File, err error)
}

// Accounts looks accounts up in the machine's own databases.
type Accounts interface {
	ByID(id UserID) (Account, error)
	ByName(name string) (Account, error)
}

// Peers names the other end of a local connection (decision 11).
type Peers interface {
	// Peer identifies the client of an accepted loopback TCP or local socket
	// connection.
	Peer(conn net.Conn) (Peer, error)
}

// Programs opens what processes run.
type Programs interface {
	// Program returns the executable of exactly this process, open for
	// reading, as it was while the process lived. For a script that is its
	// interpreter. It is an error if the process has ended, and if its
	// executable has been deleted or cannot be read without waiting for
	// somebody. The process may run another program by the time this returns.
	Program(id ProcessID) (*os.File, error)
}

// LocalTransport is how local users reach the door.
type LocalTransport interface {
	// ListenDoor listens at path; any local user may connect.
	ListenDoor(path string) (DoorListener, error)
	// ListenLocal listens at path with plain connections, for the local
	// sockets of the broker and the API.
	ListenLocal(path string) (net.Listener, error)
}

// DoorListener accepts callers.
type DoorListener interface {
	Accept() (DoorConn, error)
	Close() error
}

// DoorConn is one caller at the door: a byte stream that also carries
// descriptors.
type DoorConn interface {
	net.Conn
	// Peer is who knocked; it was fixed when they connected.
	Peer() (Peer, error)
	// ReadWithFiles reads like Read and also returns the descriptors that
	// came with these bytes, close-on-exec, at most 8. The caller closes them.
	ReadWithFiles(p []byte) (int, []*os.File, error)
	// WriteWithFiles writes all of p and sends the descriptors with it.
	WriteWithFiles(p []byte, files ...*os.File) error
}
