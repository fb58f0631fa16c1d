package fake

import (
	"errors"
	"net"

	"kpm/core"
	"kpm/core/port"
	"kpm/platform/none"
)

// Peers knows who holds the connections of a Transport, and nobody else.
type Peers struct{ none.Peers }

var _ port.Peers = Peers{}

// User implements port.Peers.
func (p Peers) User(conn net.Conn) (core.UserID, error) {
	peer, err := p.Peer(conn)
	return peer.User, err
}

// Peer implements port.Peers.
func (Peers) Peer(conn net.Conn) (core.Peer, error) {
	known, ok := conn.(localConn)
	if !ok {
		return core.Peer{}, errors.ErrUnsupported
	}
	return known.peer, nil
}
