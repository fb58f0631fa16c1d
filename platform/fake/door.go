package fake

import (
	"io/fs"
	"net"
	"sync"

	"kpm/core"
	"kpm/core/port"
	"kpm/platform/none"
)

// Transport holds the sockets of a machine, by their paths. They are in memory.
type Transport struct {
	mu     sync.Mutex
	locals map[string]*localListener
	doors  map[string]*Door
}

var _ port.LocalTransport = (*Transport)(nil)

// NewTransport returns a transport on which nobody listens.
func NewTransport() *Transport {
	return &Transport{locals: map[string]*localListener{}, doors: map[string]*Door{}}
}

// ListenDoor implements port.LocalTransport.
func (t *Transport) ListenDoor(path string) (port.DoorListener, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	d := NewDoor()
	t.doors[path] = d
	return d, nil
}

// ListenLocal implements port.LocalTransport.
func (t *Transport) ListenLocal(path string) (net.Listener, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	ln := &localListener{path: path, conns: make(chan net.Conn), done: make(chan struct{})}
	t.locals[path] = ln
	return ln, nil
}

// Dial implements port.LocalTransport. Nobody says who connects: see Connect.
func (t *Transport) Dial(path string) (net.Conn, error) { return none.Transport{}.Dial(path) }

// Connect connects peer to a local socket.
func (t *Transport) Connect(path string, peer core.Peer) (net.Conn, error) {
	t.mu.Lock()
	ln := t.locals[path]
	t.mu.Unlock()
	if ln == nil {
		return nil, fs.ErrNotExist
	}
	client, service := net.Pipe()
	select {
	case ln.conns <- localConn{service, peer}:
		return client, nil
	case <-ln.done:
		return nil, net.ErrClosed
	}
}

// ConnectDoor connects peer to a door.
func (t *Transport) ConnectDoor(path string, peer core.Peer) (*DoorConn, error) {
	t.mu.Lock()
	d := t.doors[path]
	t.mu.Unlock()
	if d == nil {
		return nil, fs.ErrNotExist
	}
	return d.Connect(peer, nil)
}

// localConn is the service's end of a connection.
type localConn struct {
	net.Conn
	peer core.Peer
}

type localListener struct {
	path  string
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

// Accept implements net.Listener.
func (l *localListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (l *localListener) Close() error {
	l.once.Do(func() { close(l.done) })
	return nil
}

// Addr implements net.Listener.
func (l *localListener) Addr() net.Addr { return &net.UnixAddr{Name: l.path, Net: "unix"} }

// Door is a door at which tests put callers, and whose Accept they can have fail.
type Door struct {
	// Errs are what Accept reports.
	Errs chan error
	// Done is closed by Close.
	Done    chan struct{}
	callers chan port.DoorConn
	once    sync.Once
}

var _ port.DoorListener = (*Door)(nil)

// NewDoor returns a door that nobody comes to.
func NewDoor() *Door {
	return &Door{callers: make(chan port.DoorConn), Errs: make(chan error), Done: make(chan struct{})}
}

// Accept implements port.DoorListener.
func (d *Door) Accept() (port.DoorConn, error) {
	select {
	case c := <-d.callers:
		return c, nil
	case err := <-d.Errs:
		return nil, err
	case <-d.Done:
		return nil, net.ErrClosed
	}
}

// Screen implements port.DoorListener. Nobody is refused: tests want to see what
// becomes of those who are not.
func (d *Door) Screen(func(core.UserID) []byte) {}

// Close implements port.DoorListener.
func (d *Door) Close() error {
	d.once.Do(func() { close(d.Done) })
	return nil
}

// Connect puts a caller at the door and returns the caller's end. The service is
// told that peer, or err, is there.
func (d *Door) Connect(peer core.Peer, err error) (*DoorConn, error) {
	caller, service := NewDoorConn(peer, err)
	select {
	case d.callers <- service:
		return caller, nil
	case <-d.Done:
		return nil, net.ErrClosed
	}
}
