package broker

import (
	"sync/atomic"
	"time"

	"kpm/core"
	"kpm/core/fair"
)

// Stats is a snapshot of what the broker has seen since New.
type Stats struct {
	Connections int // now, admitted or not
	Clients     int // now, admitted

	Admitted             uint64
	RefusedConnections   uint64
	RefusedPublishes     uint64
	RefusedSubscriptions uint64 // filters
	RefusedWills         uint64
	Delivered            uint64 // messages queued for a subscriber that was there
	Kept                 uint64 // messages kept for a plugin that was not
	SlowSubscribers      uint64 // cut because a queue was full
	Malformed            uint64 // messages that a subscription of the service could not read
	Faults               uint64 // packets that were not MQTT
	AcceptErrors         uint64

	// Dropped are messages, one for each subscriber that missed it: of those
	// that a connection did not take before it ended, of QoS 1 and 2.
	Dropped map[Cause]uint64
}

type counters struct {
	admitted, refusedConnections, refusedPublishes, refusedSubscriptions, refusedWills,
	slowSubscribers, delivered, kept, malformed, faults, acceptErrors atomic.Uint64
	drops drops
}

// Stats returns the counters. It is what metrics are made of.
func (b *Broker) Stats() Stats {
	b.routes.mu.RLock()
	for _, k := range b.routes.keepers {
		b.reportKeeper(k)
	}
	b.routes.mu.RUnlock()
	b.mu.Lock()
	connections, clients := len(b.conns), len(b.ids)
	b.mu.Unlock()
	return Stats{
		Connections:          connections,
		Clients:              clients,
		Admitted:             b.stats.admitted.Load(),
		RefusedConnections:   b.stats.refusedConnections.Load(),
		RefusedPublishes:     b.stats.refusedPublishes.Load(),
		RefusedSubscriptions: b.stats.refusedSubscriptions.Load(),
		RefusedWills:         b.stats.refusedWills.Load(),
		Delivered:            b.stats.delivered.Load(),
		Kept:                 b.stats.kept.Load(),
		SlowSubscribers:      b.stats.slowSubscribers.Load(),
		Malformed:            b.stats.malformed.Load(),
		Faults:               b.stats.faults.Load(),
		AcceptErrors:         b.stats.acceptErrors.Load(),
		Dropped:              b.stats.drops.counts(),
	}
}

const (
	logPerWindow = 10
	logWindow    = 10 * time.Second
)

// logLimit lets logPerWindow records about each K through, and as many again
// per logWindow, so that nobody fills the disk by being refused, reconnecting
// or not, and nobody's refusals keep another's out of the log. Every refusal is
// counted all the same.
type logLimit[K comparable] struct {
	rate       *fair.Rate[K]
	suppressed atomic.Int64
}

func newLogLimit[K comparable]() *logLimit[K] {
	return &logLimit[K]{rate: fair.NewRate[K](logPerWindow/logWindow.Seconds(), logPerWindow)}
}

// allow reports whether one more record about who may be written, and how many,
// about whomever, were not since the last one that was.
func (l *logLimit[K]) allow(who K) (ok bool, suppressed int64) {
	if l.rate.Take(who, 1) > 0 {
		l.suppressed.Add(1)
		return false, 0
	}
	return true, l.suppressed.Swap(0)
}

// logRefusal records that an admitted connection was refused something.
func (b *Broker) logRefusal(c *conn, what, topic string, reason error) {
	if ok, suppressed := b.refusals.allow(c.principal); ok {
		b.cfg.Log.Warn("broker: "+what+" refused", "principal", c.principal.String(), "client", c.id,
			"topic", topic, "reason", reason, "suppressed", suppressed)
	}
}

// logStranger records something about connections that were not admitted, whose
// user may be unknown.
func (b *Broker) logStranger(user core.UserID, message string, args ...any) {
	if ok, suppressed := b.strangers.allow(user); ok {
		b.cfg.Log.Warn("broker: "+message, append(args, "user", string(user), "suppressed", suppressed)...)
	}
}
