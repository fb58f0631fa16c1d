package api

import (
	"context"
	"log/slog"
	"net"
	"sync"

	"kpm/api/accept"
	"kpm/core"
	"kpm/core/fair"
)

// judge says whether a peer runs signed programs only, and if not, why.
type judge func(context.Context, core.Peer, *entry) (signed bool, reason string)

// identifyingListener identifies and counts connections before it hands them
// out. Identification runs beside the accept loop, so that a slow one keeps
// nobody waiting.
type identifyingListener struct {
	net.Listener
	entry *entry
	peers Peers
	judge judge
	slots *fair.Slots[core.UserID]
	log   *slog.Logger

	ready chan net.Conn
	ctx   context.Context // until Close
	close context.CancelFunc
	loops sync.WaitGroup
}

func newIdentifyingListener(ln net.Listener, e *entry, peers Peers, j judge, p *fair.Slots[core.UserID], log *slog.Logger) *identifyingListener {
	l := &identifyingListener{Listener: ln, entry: e, peers: peers, judge: j, slots: p, log: log,
		ready: make(chan net.Conn)}
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

// admit gives a connection a slot, and lets it be identified.
func (l *identifyingListener) admit(raw net.Conn) {
	slot, err := l.slots.Enter()
	if err != nil {
		raw.Close()
		return
	}
	l.loops.Go(func() { l.identify(raw, slot) })
}

// identify finds out who connected and passes the connection on.
func (l *identifyingListener) identify(raw net.Conn, slot *fair.Slot[core.UserID]) {
	peer, err := l.peers.Peer(raw)
	if err != nil {
		l.log.Debug("peer unknown", "address", l.Listener.Addr(), "error", err)
		peer = core.Peer{}
	}
	c := &conn{Conn: raw, entry: l.entry, peer: peer, slot: slot}
	if !peer.Administrator && slot.Claim(peer.Payer()) != nil {
		c.Close()
		return
	}
	c.signed, c.unsigned = l.judge(l.ctx, peer, l.entry)
	select {
	case l.ready <- c:
	case <-l.ctx.Done():
		c.Close()
	}
}
