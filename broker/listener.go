package broker

import (
	"crypto/tls"
	"errors"
	"net"
	"time"

	"kpm/broker/packet"
	"kpm/core"
	"kpm/core/fair"
	"kpm/core/reserve"
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
		c := newConn(socket, config, &b.buffers)
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
	if errors.Is(err, core.ErrGone) {
		return false
	}
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
	reserve.Stack()
	err := b.establish(c)
	if c.arrived {
		c.finish(nil)
		c.inbound.idle(b.done) // what it published before it ended is said
		if c.will != nil && !errors.Is(err, errGoodbye) {
			b.publishWill(c)
		}
		<-c.out.ended
		b.leave(c)
	}
	c.cut()
	b.untrack(c)
	b.cfg.Log.Debug("broker: connection ended", "principal", c.principal.String(), "client", c.id, "reason", err)
}

// reserve makes c the one live connection with its client id. Another one of the
// same process or its kin gives it up, as MQTT has it; from anybody else nobody
// can take it [MQTT-3.1.4-3] (decision 18).
func (b *Broker) reserve(c *conn) *refusal {
	timer := time.NewTimer(takeOverTimeout)
	defer timer.Stop()
	for {
		other, refused := b.tryReserve(c)
		if refused != nil || other == nil {
			return refused
		}
		if other.principal != c.principal || other.root != c.root {
			return refuse(codeClientID, "a live connection of another process has client id %q", c.id)
		}
		other.dismiss(packet.TakenOver, "another connection has the same client id")
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

// arrive makes c part of the bus. Its CONNACK is the first thing that is written:
// whoever has been told that it is connected has arrived, and hears of nothing
// before [MQTT-3.2.0-1].
func (b *Broker) arrive(c *conn) {
	c.arrived = true
	c.admit()
	b.come(c)
	keeps, present, released := b.routes.arrive(c)
	c.answer.SessionPresent = present
	c.answer.SessionEnds = c.sessionLife > 0 && !keeps
	c.out.answer(packet.AppendConnack(nil, c.version, c.answer))
	c.out.resume(released)
	go c.out.run() // awaited in serve
}

// come and leave report the first and the last connection of a launch group.
func (b *Broker) come(c *conn) {
	b.presence.Lock()
	defer b.presence.Unlock()
	g := group{c.principal, c.root}
	b.present[g]++
	if b.present[g] == 1 && b.cfg.OnConnected != nil {
		b.cfg.OnConnected(g.principal, g.root)
	}
}

func (b *Broker) leave(c *conn) {
	b.reportLost(c, b.routes.leave(c))
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
