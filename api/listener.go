package api

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"sync"
	"time"

	"kpm/core"
	"kpm/core/fair"
)

// conn is an accepted connection and who the kernel said holds its other end
// when it was accepted. Asking once, and as early as possible, is the safe
// order: whoever holds the socket later cannot raise what was found
// (decision 11).
type conn struct {
	net.Conn
	entry *entry
	// peer has no processes, and so is Public, if it could not be established.
	peer core.Peer
	// signed and unsigned are what Server.atAccept said.
	signed   bool
	unsigned string
	// principal is who an entry.bound connection was made for.
	principal core.Principal

	place *fair.Slot[core.UserID] // nil for an entry.bound connection
}

// Close gives the connection's place back.
func (c *conn) Close() error {
	err := c.Conn.Close()
	c.place.Release()
	return err
}

// judge says whether a peer runs signed programs only, and if not, why.
type judge func(context.Context, core.Peer, *entry) (signed bool, reason string)

// gate is a listener that identifies and counts connections before it hands
// them out. Identification runs beside the accept loop, so that a slow one
// keeps nobody waiting.
type gate struct {
	net.Listener
	entry  *entry
	peers  Peers
	judge  judge
	places *fair.Slots[core.UserID]
	log    *slog.Logger

	ready chan net.Conn
	ctx   context.Context // until Close
	close context.CancelFunc
	loops sync.WaitGroup
}

func newGate(ln net.Listener, e *entry, peers Peers, j judge, p *fair.Slots[core.UserID], log *slog.Logger) *gate {
	g := &gate{Listener: ln, entry: e, peers: peers, judge: j, places: p, log: log,
		ready: make(chan net.Conn)}
	g.ctx, g.close = context.WithCancel(context.Background())
	g.loops.Go(g.accept)
	return g
}

// Accept returns the next connection that has been let in.
func (g *gate) Accept() (net.Conn, error) {
	select {
	case c := <-g.ready:
		return c, nil
	case <-g.ctx.Done():
		return nil, net.ErrClosed
	}
}

// Close stops listening and waits until nothing more comes out of the gate.
func (g *gate) Close() error {
	err := g.Listener.Close()
	g.close()
	g.loops.Wait()
	return err
}

func (g *gate) accept() {
	for attempt := 0; ; attempt++ {
		raw, err := g.Listener.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) || !pause(g.ctx.Done(), attempt) {
				return
			}
			g.log.Warn("accept", "address", g.Listener.Addr(), "error", err)
			continue
		}
		attempt = -1
		place, err := g.places.Enter()
		if err != nil {
			raw.Close()
			continue
		}
		g.loops.Go(func() { g.admit(raw, place) })
	}
}

// admit finds out who connected and passes the connection on.
func (g *gate) admit(raw net.Conn, place *fair.Slot[core.UserID]) {
	peer, err := g.peers.Peer(raw)
	if err != nil {
		g.log.Debug("peer unknown", "address", g.Listener.Addr(), "error", err)
		peer = core.Peer{}
	}
	c := &conn{Conn: raw, entry: g.entry, peer: peer, place: place}
	if !peer.Administrator && place.Claim(peer.User) != nil {
		c.Close()
		return
	}
	c.signed, c.unsigned = g.judge(g.ctx, peer, g.entry)
	select {
	case g.ready <- c:
	case <-g.ctx.Done():
		c.Close()
	}
}

// pause waits before an accept loop tries again after an error such as too
// many open files: longer each time, up to a second. It returns false when
// done is closed.
func pause(done <-chan struct{}, attempt int) bool {
	timer := time.NewTimer(min(time.Second, 5*time.Millisecond<<min(attempt, 8)))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-done:
		return false
	}
}

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
