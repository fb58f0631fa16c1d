package platform

import (
	"net"
	"os"

	"kpm/platform/linux"
)

// Administrator reports whether this process runs as one.
func Administrator() bool { return os.Geteuid() == 0 }

// ProtectedRoot is Host.ProtectedRoot.
func ProtectedRoot(path string) error { return linux.Files{}.ProtectedRoot(path) }

// DialLocal connects to a local socket of the service, of any path length.
func DialLocal(path string) (net.Conn, error) { return linux.Transport{}.Dial(path) }
