package none

import (
	"errors"
	"net"
	"os"

	"kpm/core"
	"kpm/core/port"
)

// Peers implements port.Peers.
type Peers struct{}

var _ port.Peers = Peers{}

// User implements port.Peers.
func (Peers) User(net.Conn) (core.UserID, error) { return "", errors.ErrUnsupported }

// Peer implements port.Peers.
func (Peers) Peer(net.Conn) (core.Peer, error) { return core.Peer{}, errors.ErrUnsupported }

// Program implements port.Peers.
func (Peers) Program(core.ProcessID) (*os.File, error) { return nil, errors.ErrUnsupported }

// Listener implements port.Peers.
func (Peers) Listener(int) (int, core.UserID, error) { return 0, "", errors.ErrUnsupported }
