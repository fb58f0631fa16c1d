package api

import (
	"net"
	"sync"

	"kpm/core"
)

// boundListener hands out in-memory connections that were bound to a principal
// before their first byte (decision 16).
type boundListener struct {
	ready chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func newBoundListener() *boundListener {
	return &boundListener{ready: make(chan net.Conn), done: make(chan struct{})}
}

func (l *boundListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.ready:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *boundListener) Close() error {
	l.once.Do(func() { close(l.done) })
	return nil
}

// Addr is a name for logs; nothing can dial it.
func (l *boundListener) Addr() net.Addr { return boundAddr{} }

type boundAddr struct{}

func (boundAddr) Network() string { return "bound" }
func (boundAddr) String() string  { return "bound" }

func (l *boundListener) dial(p core.Principal, e *entry) (net.Conn, error) {
	near, far := net.Pipe()
	c := &conn{Conn: far, entry: e, principal: p}
	select {
	case l.ready <- c:
		return near, nil
	case <-l.done:
		near.Close()
		far.Close()
		return nil, net.ErrClosed
	}
}
