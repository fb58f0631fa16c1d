package broker

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"runtime/debug"
	"time"

	"kpm/core"
	"kpm/core/fair"
)

// accept serves ln until it is closed. Every other error, such as too many open
// files, passes: a broker that stopped accepting would silently end the bus.
func (b *Broker) accept(ln net.Listener, config *tls.Config) {
	if s, ok := ln.(screener); ok {
		s.Screen(b.screen)
	}
	pause := firstAcceptPause
	// Attack: connect and close faster than connections can be accepted, so
	// that what has arrived on others is not even looked at.
	yielder := fair.NewYielder()
	defer yielder.Close()
	for accepted := 1; ; accepted++ {
		socket, err := ln.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			b.stats.acceptErrors.Add(1)
			b.logStranger("", "broker cannot accept", "error", err)
			select {
			case <-time.After(pause):
			case <-b.done:
				return
			}
			pause = min(2*pause, longestAcceptPause)
			continue
		}
		pause = firstAcceptPause
		c := newConn(socket, config)
		if b.track(c) {
			go b.serve(c) // ended by Close, through b.conns and b.wg
		} else {
			c.cut()
		}
		if accepted%acceptedAtOnce == 0 {
			yielder.Yield()
		}
	}
}

// screener is a listener that asks in whose name each connection is made before
// anything is done for it (port.DoorListener).
type screener interface {
	Screen(refusal func(core.UserID) []byte)
}

// screen refuses, without a word, the connections of somebody who has enough
// that have not sent CONNECT.
func (b *Broker) screen(user core.UserID) []byte {
	if !b.waiting.Full(b.cfg.People.Of(user)) {
		return nil
	}
	b.stats.refusedConnections.Add(1)
	b.logStranger(user, "a connection is refused", "before CONNECT", b.waiting.Held(), "of one user at most", maxWaitingPerUser)
	return []byte{}
}

// track counts c, or reports that there is no room. In whose name it was
// made is known before anything is done for it; those of whom that cannot be
// said, because they have gone, count as one person.
func (b *Broker) track(c *conn) bool {
	user, err := b.cfg.Peers.User(c.socket)
	if err != nil {
		user = ""
	}
	if c.waiting, err = b.waiting.Take(b.cfg.People.Of(user), c.giveUp); err != nil {
		b.stats.refusedConnections.Add(1)
		b.logStranger(user, "a connection is refused", "before CONNECT", b.waiting.Held(), "of one user at most", maxWaitingPerUser, "reason", err)
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		c.waiting.Release()
		return false
	}
	b.conns[c] = struct{}{}
	b.wg.Add(1)
	return true
}

// serve is the life of one connection, and leaves nothing of it behind.
func (b *Broker) serve(c *conn) {
	defer b.wg.Done()
	err := b.establish(c)
	c.Close()
	if c.client != nil {
		// mochi does this too, but not after a panic, and not if the client
		// wants its session kept.
		b.server.UnsubscribeClient(c.client)
		if current, ok := b.server.Clients.Get(c.id); ok && current == c.client {
			b.server.Clients.Delete(c.id)
		}
	}
	if c.arrived {
		if err != nil && c.will != nil {
			b.publishWill(c)
		}
		<-c.out.ended
		b.leave(c)
	}
	b.untrack(c)
	b.cfg.Log.Debug("broker: connection ended", "principal", c.principal.String(), "client", c.id, "reason", err)
}

// establish hands c to mochi and returns when it has ended; nil means that the
// client said goodbye.
func (b *Broker) establish(c *conn) (err error) {
	// mochi's codec indexes past the end of a version 5 SUBSCRIBE without its
	// last byte (its issue 501). Without this, any admitted process could end
	// the service with one packet.
	defer func() {
		if fault := recover(); fault != nil {
			b.stats.faults.Add(1)
			err = fmt.Errorf("broker: packet: %v", fault)
			b.cfg.Log.Error("broker: a packet made the codec panic; its connection is cut",
				"principal", c.principal.String(), "client", c.id, "fault", fault, "stack", string(debug.Stack()))
		}
	}()
	c.peer, c.peerErr = b.cfg.Peers.Peer(c.socket)
	if err := c.readConnectHeader(); err != nil {
		return fmt.Errorf("broker: before CONNECT: %w", err)
	}
	return b.server.EstablishConnection("kpm", c)
}

// reserve makes c the one live connection with its client id. A connection that
// has just been closed by its client may still be on its way out, as between
// two commands of a script: it gets a moment.
func (b *Broker) reserve(c *conn) *refusal {
	timer := time.NewTimer(sameIDGrace)
	defer timer.Stop()
	for {
		other, refused := b.tryReserve(c)
		if refused != nil || other == nil {
			return refused
		}
		select {
		case <-other.gone:
		case <-timer.C:
			return refuse(codeClientID, "a live connection has client id %q", c.id)
		case <-b.done:
			return refuse(codeUnavailable, "the broker is closing")
		}
	}
}

func (b *Broker) tryReserve(c *conn) (other *conn, refused *refusal) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return nil, refuse(codeUnavailable, "the broker is closing")
	}
	if other := b.ids[c.id]; other != nil {
		return other, nil
	}
	// A job's tasks may run as a user and be under that user's control; they
	// must not be able to take every connection.
	owned, err := b.owned.TryTake(c.principal, 1)
	switch {
	case errors.Is(err, fair.ErrPersonFull):
		return nil, refuse(codeQuota, "%s has %d connections, the most that one may have: close one", c.principal, maxPerPrincipal)
	case err != nil:
		return nil, refuse(codeQuota, "all %d connections for job runs are in use: try again when one is closed", maxConnections-asideConnections)
	}
	b.ids[c.id], c.owned = c, owned
	c.waiting.Release()
	return nil, nil
}

func (b *Broker) untrack(c *conn) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.conns, c)
	c.waiting.Release()
	if b.ids[c.id] == c {
		delete(b.ids, c.id)
		c.owned.Release()
	}
	close(c.gone)
}

// arrive and leave report the first and the last connection of a launch group.
func (b *Broker) arrive(c *conn) {
	b.presence.Lock()
	defer b.presence.Unlock()
	g := group{c.principal, c.root}
	b.present[g]++
	if b.present[g] == 1 && b.cfg.OnConnected != nil {
		b.cfg.OnConnected(g.principal, g.root)
	}
}

func (b *Broker) leave(c *conn) {
	b.presence.Lock()
	defer b.presence.Unlock()
	g := group{c.principal, c.root}
	if b.present[g]--; b.present[g] > 0 {
		return
	}
	delete(b.present, g) // the map does not grow with every group that ever was
	if b.cfg.OnDisconnected != nil {
		b.cfg.OnDisconnected(g.principal, g.root)
	}
}
