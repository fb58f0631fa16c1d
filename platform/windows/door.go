//go:build windows

package windows

import (
	"context"
	"fmt"
	"net"
	"path/filepath"
	"time"

	"kpm/core"
	"kpm/core/port"
	"kpm/platform/windows/file"
	"kpm/platform/windows/pipe"
)

// Transport listens on named pipes, of which the file at a path holds the name.
// Everyone who is logged in may connect to them: who connects is asked of the
// system, connection by connection.
type Transport struct{}

var _ port.LocalTransport = Transport{}

// ListenDoor implements port.LocalTransport.
func (Transport) ListenDoor(path string) (port.DoorListener, error) {
	l, err := listen(path)
	if err != nil {
		return nil, err
	}
	return &doorListener{localListener: l}, nil
}

// ListenLocal implements port.LocalTransport.
func (Transport) ListenLocal(path string) (net.Listener, error) {
	l, err := listen(path)
	if err != nil {
		return nil, err
	}
	return l, nil
}

// listen makes a pipe whose name is in the file at path.
//
// Attack: whoever can replace that file, or a directory above it, says where
// people's requests go.
func listen(path string) (*localListener, error) {
	if err := (file.Files{}).ProtectedRoot(filepath.Dir(path)); err != nil {
		return nil, fmt.Errorf("listen %s: %w", path, err)
	}
	l, err := pipe.Listen(path)
	if err != nil {
		return nil, err
	}
	return &localListener{Listener: l}, nil
}

// Dial implements port.LocalTransport.
func (Transport) Dial(path string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), dialTime)
	defer cancel()
	c, err := pipe.Dial(ctx, path)
	if err != nil {
		return nil, err
	}
	return c, nil
}

// localListener is a pipe that clients are accepted at.
type localListener struct {
	*pipe.Listener
	screen func(core.UserID) []byte // nil lets everybody pass
}

// Screen implements port.DoorListener.
func (l *localListener) Screen(refusal func(core.UserID) []byte) { l.screen = refusal }

// Accept implements net.Listener.
func (l *localListener) Accept() (net.Conn, error) {
	c, err := l.next()
	if err != nil {
		return nil, err
	}
	return c, nil
}

// screenTime is how long a client may take to accept why it is refused.
const screenTime = 50 * time.Millisecond

// next returns the next client who is not refused. Only those are asked about of
// whom anybody wants to know.
func (l *localListener) next() (*pipeConn, error) {
	for {
		c, err := l.AcceptPipe()
		if err != nil {
			return nil, err
		}
		p := accepted(c)
		if l.screen == nil {
			return p, nil
		}
		caller, err := p.client()
		if err != nil {
			p.Close() // who has gone already
			continue
		}
		refusal := l.screen(caller.holder.user)
		if refusal == nil {
			return p, nil
		}
		p.SetWriteDeadline(time.Now().Add(screenTime))
		p.Write(refusal)
		p.Close()
	}
}

// doorListener accepts callers.
type doorListener struct{ *localListener }

var _ port.DoorListener = (*doorListener)(nil)

// Accept implements port.DoorListener.
func (l *doorListener) Accept() (port.DoorConn, error) {
	p, err := l.next()
	if err != nil {
		return nil, err
	}
	return &doorConn{pipeConn: p}, nil
}
