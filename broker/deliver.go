package broker

import (
	"cmp"
	"slices"

	"kpm/core/wire"
)

// reached says how far a message came.
type reached struct {
	own bool // every subscription of the service's
	all bool // and every connection
}

// deliver queues m for everyone who subscribed to its topic and may receive it,
// and reports whose queues had room. The service never waits for that; a
// connection may, for subscribers that no user controls.
func (b *Broker) deliver(m *publication) reached {
	if b.cfg.OnPublished != nil {
		b.cfg.OnPublished(m.from, m.topic)
	}
	own := b.deliverLocal(m)
	all := own
	for id, sub := range b.server.Topics.Subscribers(m.topic).Subscriptions {
		client, ok := b.server.Clients.Get(id)
		if !ok || sub.NoLocal && id == m.origin {
			continue
		}
		c := client.Net.Conn.(*conn)
		// Once more for each message: "#" and "+" subscribe to everything that
		// is declared, and receive nothing that the table withholds.
		if !c.mayRead(m.topic) {
			continue
		}
		d := delivery{publication: m, qos: min(m.qos, sub.Qos)}
		for _, identifier := range sub.Identifiers {
			if identifier > 0 {
				d.identifiers = append(d.identifiers, identifier)
			}
		}
		slices.SortFunc(d.identifiers, cmp.Compare)
		if c.out.put(d) || m.origin != "" && !c.principal.InUserSession && c.out.hold(d) {
			continue
		}
		all = false
		b.cutSlow(c)
	}
	return reached{own, all}
}

// cutSlow ends a subscriber that does not keep up: a message that was lost in
// silence would be worse than a connection that is known to be.
func (b *Broker) cutSlow(c *conn) {
	select {
	case <-c.done:
		return
	default:
	}
	b.stats.slowSubscribers.Add(1)
	b.logRefusal(c, "slow subscriber", "", errQueueFull)
	c.cut()
}

// deliverLocal queues m for the service's own subscriptions.
func (b *Broker) deliverLocal(m *publication) bool {
	all := true
	for _, s := range *b.local.Load() {
		if wire.Match(s.filter, m.topic) && !s.put(m) {
			all = false
			b.stats.droppedInProcess.Add(1)
		}
	}
	return all
}
