package api

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"sync"

	"kpm/api/accept"
	"kpm/core"
	"kpm/core/reserve"
)

// judge says whether a peer runs signed programs only, and if not, why.
type judge func(context.Context, core.Peer, *entry) (signed bool, reason string)

// identifyingListener identifies and counts connections before it hands them
// out. Identification runs beside the accept loop, so that a slow one keeps
// nobody waiting.
type identifyingListener struct {
	net.Listener
	entry      *entry
	peers      Peers
	judge      judge
	connLimits *connLimits
	// screened is true if the listener lets pass only whom connLimits does.
	screened bool
	log      *slog.Logger

	ready chan net.Conn
	ctx   context.Context // until Close
	close context.CancelFunc
	loops sync.WaitGroup
}

func newIdentifyingListener(ln net.Listener, e *entry, peers Peers, j judge, p *connLimits, log *slog.Logger) *identifyingListener {
	l := &identifyingListener{Listener: ln, entry: e, peers: peers, judge: j, connLimits: p, log: log,
		ready: make(chan net.Conn)}
	if s, ok := ln.(screener); ok {
		s.Screen(p.screen)
		l.screened = true
	}
	l.ctx, l.close = context.WithCancel(context.Background())
	l.loops.Go(func() {
		accept.Loop(l.ctx.Done(), ln.Accept, l.admit, func(err error) {
			l.log.Warn("accept", "address", ln.Addr(), "error", err)
		})
	})
	return l
}

// Accept returns the next connection that has been let in.
func (l *identifyingListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.ready:
		return c, nil
	case <-l.ctx.Done():
		return nil, net.ErrClosed
	}
}

// Close stops listening and waits until nothing more comes out of it.
func (l *identifyingListener) Close() error {
	err := l.Listener.Close()
	l.close()
	l.loops.Wait()
	return err
}

// admit counts a connection, and lets it be identified. In whose name it
// was made is known before anything is done for it; those of whom that cannot
// be said, because they have gone, count as one person.
func (l *identifyingListener) admit(raw net.Conn) {
	user, err := l.peers.User(raw)
	if errors.Is(err, core.ErrGone) {
		raw.Close()
		return
	}
	if err != nil {
		user = ""
	}
	c := &conn{Conn: raw, entry: l.entry}
	if err := l.connLimits.enter(user, c, l.screened); err != nil {
		l.connLimits.refuse(user, c, err, &l.loops)
		return
	}
	l.loops.Go(func() { l.identify(c) })
}

// identify finds out who connected and passes the connection on.
func (l *identifyingListener) identify(c *conn) {
	reserve.Stack()
	peer, err := l.peers.Peer(c.Conn)
	if err != nil {
		l.log.Debug("peer unknown", "address", l.Listener.Addr(), "error", err)
		peer = core.Peer{}
		if core.OutOfResources(err) {
			c.exhausted = err
		}
	}
	c.peer = peer
	c.signed, c.unsigned = l.judge(l.ctx, peer, l.entry)
	select {
	case l.ready <- c:
	case <-l.ctx.Done():
		c.Close()
	}
}
