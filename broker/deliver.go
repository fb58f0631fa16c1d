package broker

import (
	"cmp"
	"errors"
	"slices"
	"time"

	"kpm/broker/packet"
	"kpm/core"
	"kpm/core/wire"
)

// outcome says how far a message came.
type outcome struct {
	refused bool
	heard   bool // somebody is to get it
	own     bool // every subscription of the service's got it
	all     bool // and everyone else
}

// code is what a publisher of version 5 is told.
func (o outcome) code() packet.Code {
	switch {
	case o.refused:
		return packet.NotAuthorized
	case !o.all:
		return packet.QuotaExceeded
	case !o.heard:
		return packet.NoMatchingSubs
	}
	return packet.Success
}

// deliver queues m for everyone who subscribed to its topic and may receive it,
// and keeps it for plugins that are away. It does not wait: missing are
// subscribers whose queues are full and whom the publisher can wait for. The
// service never waits, and nobody waits for what a user controls.
func (b *Broker) deliver(m *publication) (o outcome, missing []delivery) {
	if b.cfg.OnPublished != nil {
		b.cfg.OnPublished(m.from, m.topic)
	}
	o.heard, o.own = b.deliverLocal(m)
	o.all = o.own
	var slow []*conn
	var wanted []core.Principal

	r := b.routes
	r.mu.RLock()
	var room [8]delivery
	found := r.match(m, room[:0])
	for _, d := range found {
		// Once more for each message: "#" and "+" subscribe to everything that
		// is declared, and receive nothing that the table withholds.
		if !d.to.rights.Load().mayRead(m.topic) {
			continue
		}
		if m.only != "" && d.to.principal.InUserSession && d.to.principal.User != m.only {
			continue
		}
		if d.to.ending() {
			if b.keepFor(d) {
				o.heard = true
			}
			continue
		}
		o.heard = true
		slices.SortFunc(d.identifiers, cmp.Compare)
		switch {
		case d.to.out.put(d):
			b.stats.delivered.Add(1)
		case m.origin != "" && !d.to.principal.InUserSession:
			missing = append(missing, d)
		default:
			o.all = false
			b.stats.drops.add(QueueFull, 1)
			slow = append(slow, d.to)
		}
	}
	for _, k := range r.keepers {
		keep, wake := k.wants(m.topic, found)
		if wake {
			wanted = append(wanted, k.plugin.Principal)
		}
		if keep && m.qos > 0 {
			kept := k.keep(delivery{publication: m, qos: m.qos})
			if kept {
				b.stats.kept.Add(1)
			}
			o.heard = o.heard || kept
			o.all = o.all && kept
			b.reportKeeper(k)
		}
	}
	r.mu.RUnlock()

	for _, c := range slow {
		b.cutSlow(c, errQueueFull)
	}
	for _, p := range wanted {
		if b.cfg.OnWanted != nil {
			b.cfg.OnWanted(p, m.topic)
		}
	}
	return o, missing
}

// wait queues deliveries whose subscribers had no room, as they take what is
// before it, and reports whether all got it. A subscriber that takes nothing for
// maxStall is cut; the time counts from when it last took something, so several
// that stall hold a publisher up no longer than one.
func (b *Broker) wait(missing []delivery) bool {
	all := true
	for _, d := range missing {
		for {
			if d.to.out.put(d) {
				b.stats.delivered.Add(1)
				break
			}
			left, room := d.to.out.stalled()
			timer := time.NewTimer(left)
			select {
			case <-room:
				timer.Stop()
				continue
			case <-timer.C:
				b.cutSlow(d.to, errQueueFull)
			case <-d.to.done:
			case <-b.done:
			}
			timer.Stop()
			all = b.miss(d) && all
			break
		}
	}
	return all
}

// miss keeps what a connection that ends could not be given, and reports whether
// it did.
func (b *Broker) miss(d delivery) bool {
	b.routes.mu.RLock()
	defer b.routes.mu.RUnlock()
	if b.keepFor(d) {
		return true
	}
	b.stats.drops.add(QueueFull, 1)
	return false
}

// keepFor keeps d for the plugin of a connection that ends, if that is asked for.
// routes.mu is held.
func (b *Broker) keepFor(d delivery) bool {
	k := d.to.keeper
	if k == nil || d.publication.qos == 0 || !k.covers(d.topic) {
		return false
	}
	kept := k.keep(delivery{publication: d.publication, qos: d.publication.qos})
	if kept {
		b.stats.kept.Add(1)
	}
	b.reportKeeper(k)
	return kept
}

// cutSlow ends a subscriber that does not keep up: a message that was lost in
// silence would be worse than a connection that is known to be.
func (b *Broker) cutSlow(c *conn, reason error) {
	if c.ending() {
		return
	}
	b.stats.slowSubscribers.Add(1)
	b.logRefusal(c, "slow subscriber", "", reason)
	c.cut()
}

var errQueueFull = errors.New("its queue is full")

// deliverLocal queues m for the service's own subscriptions, and reports whether
// there are any and whether all had room.
func (b *Broker) deliverLocal(m *publication) (heard, all bool) {
	all = true
	for _, s := range *b.local.Load() {
		if !wire.Match(s.filter, m.topic) {
			continue
		}
		heard = true
		if !s.put(m) {
			all = false
			b.stats.drops.add(ServiceBehind, 1)
		}
	}
	return heard, all
}
