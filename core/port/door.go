package port

import (
	"kpm/core"
	"net"
	"os"
)

// LocalTransport is how local programs reach the service, and who they are is
// known to the kernel. Errors of Listen wrap core.ErrNotProtected for a
// directory that others can change, and fs.ErrExist for a name that is taken by
// something else.
type LocalTransport interface {
	// ListenDoor listens at path; any local user may connect.
	ListenDoor(path string) (DoorListener, error)
	// ListenLocal listens at path with plain connections, for the local
	// sockets of the broker and the API.
	ListenLocal(path string) (net.Listener, error)
	// Dial connects to a local socket.
	Dial(path string) (net.Conn, error)
}

// DoorListener accepts callers.
type DoorListener interface {
	// Screen has refusal asked in whose name each connection is made, before
	// anything else is done for it. One for which the result is not nil is sent
	// it and closed, and Accept does not return it; nor one whose caller has
	// gone already. Listeners of ListenLocal may have this method as well. It is
	// called before Accept; without it everybody passes.
	Screen(refusal func(core.UserID) []byte)
	Accept() (DoorConn, error)
	Close() error
}

// DoorConn is one caller at the door: a byte stream that also carries
// descriptors.
type DoorConn interface {
	net.Conn
	// User is in whose name the caller connected. It is known at once, and
	// also of a caller who has gone; it says nothing about the process.
	User() (core.UserID, error)
	// Peer is who connected, as they were then.
	Peer() (core.Peer, error)
	// ReadWithFiles reads like Read and also returns the descriptors that
	// came with these bytes, close-on-exec, at most 8. The caller closes them.
	ReadWithFiles(p []byte) (int, []*os.File, error)
	// WriteWithFiles writes all of p and sends the descriptors with it.
	WriteWithFiles(p []byte, files ...*os.File) error
}
