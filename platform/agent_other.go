//go:build !linux

package platform

import (
	"errors"
	"net"
)

// Administrator reports true: where it cannot be told, more is refused.
func Administrator() bool { return true }

// ProtectedRoot is Host.ProtectedRoot: what cannot be checked is refused.
func ProtectedRoot(string) error { return errors.ErrUnsupported }

// DialLocal connects to a local socket of the service.
func DialLocal(path string) (net.Conn, error) { return net.Dial("unix", path) }
