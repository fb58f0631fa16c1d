package none

import (
	"errors"
	"net"

	"kpm/core/port"
)

// Transport implements port.LocalTransport.
type Transport struct{}

var _ port.LocalTransport = Transport{}

// ListenDoor implements port.LocalTransport.
func (Transport) ListenDoor(string) (port.DoorListener, error) { return nil, errors.ErrUnsupported }

// ListenLocal implements port.LocalTransport.
func (Transport) ListenLocal(string) (net.Listener, error) { return nil, errors.ErrUnsupported }

// Dial implements port.LocalTransport.
func (Transport) Dial(string) (net.Conn, error) { return nil, errors.ErrUnsupported }
