package port

import (
	"net"
	"os"

	"kpm/core"
)

// Peers says who is behind a connection, a process or a port. Any doubt is an
// error: nobody is identified half (decision 11).
type Peers interface {
	// User says in whose name the client connected, of the same connections as
	// Peer, and nothing about its processes: what can be had at once, before
	// anything is done for whoever it is. Of a client that has gone it may be
	// known, or be core.ErrGone: then nobody waits for anything.
	// errors.ErrUnsupported is as for Peer.
	User(conn net.Conn) (core.UserID, error)
	// Peer identifies the client of an accepted loopback TCP or local socket
	// connection. Errors wrap core.ErrForeign for a client in another
	// namespace, and errors.ErrUnsupported for another kind of connection.
	Peer(conn net.Conn) (core.Peer, error)
	// Program returns the executable of exactly this process, open for
	// reading, as it was while the process lived. For a script that is its
	// interpreter. It is an error if the process has ended, and if its
	// executable has been deleted or cannot be read without waiting for
	// somebody. The process may run another program by the time this returns.
	Program(id core.ProcessID) (*os.File, error)
	// Listener says who listens on a TCP port, for a message about a port that
	// is taken; never for identity. pid is 0 if only the user is known. Errors
	// wrap fs.ErrNotExist.
	Listener(port int) (pid int, user core.UserID, err error)
}
