package port

import (
	"kpm/core"
	"net"
	"os"
)

// Peers names the other end of a local connection (decision 11).
type Peers interface {
	// Peer identifies the client of an accepted loopback TCP or local socket
	// connection.
	Peer(conn net.Conn) (core.Peer, error)
}

// Programs opens what processes run.
type Programs interface {
	// Program returns the executable of exactly this process, open for
	// reading, as it was while the process lived. For a script that is its
	// interpreter. It is an error if the process has ended, and if its
	// executable has been deleted or cannot be read without waiting for
	// somebody. The process may run another program by the time this returns.
	Program(id core.ProcessID) (*os.File, error)
}
