package broker

import (
	"sync"
	"sync/atomic"
	"time"
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
	SlowSubscribers      uint64 // cut because a queue was full
	DroppedInProcess     uint64 // messages that a subscription of the service missed
	Malformed            uint64 // messages that a subscription of the service could not read
	Faults               uint64 // packets that made the codec panic
	AcceptErrors         uint64
}

type counters struct {
	admitted, refusedConnections, refusedPublishes, refusedSubscriptions, refusedWills,
	slowSubscribers, droppedInProcess, malformed, faults, acceptErrors atomic.Uint64
}

// Stats returns the counters.
func (b *Broker) Stats() Stats {
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
		SlowSubscribers:      b.stats.slowSubscribers.Load(),
		DroppedInProcess:     b.stats.droppedInProcess.Load(),
		Malformed:            b.stats.malformed.Load(),
		Faults:               b.stats.faults.Load(),
		AcceptErrors:         b.stats.acceptErrors.Load(),
	}
}

// A limiter lets logPerWindow records through per logWindow, so that nobody
// fills the disk by being refused. Every refusal is counted all the same.
type limiter struct {
	mu         sync.Mutex
	since      time.Time
	n          int
	suppressed int
}

const (
	logPerWindow = 10
	logWindow    = 10 * time.Second
)

// allow reports whether one more record may be written, and how many were not
// since the last one that was.
func (l *limiter) allow() (ok bool, suppressed int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if now := time.Now(); l.n == 0 || now.Sub(l.since) >= logWindow {
		l.since, l.n = now, 0
	}
	if l.n >= logPerWindow {
		l.suppressed++
		return false, 0
	}
	l.n++
	suppressed, l.suppressed = l.suppressed, 0
	return true, suppressed
}

// logRefusal records that an admitted connection was refused something.
func (b *Broker) logRefusal(c *conn, what, topic string, reason error) {
	if ok, suppressed := c.refusals.allow(); ok {
		b.cfg.Log.Warn("broker: "+what+" refused", "principal", c.principal.String(), "client", c.id,
			"topic", topic, "reason", reason, "suppressed", suppressed)
	}
}

// logStranger records something about connections that were not admitted.
func (b *Broker) logStranger(message string, args ...any) {
	if ok, suppressed := b.strangers.allow(); ok {
		b.cfg.Log.Warn("broker: "+message, append(args, "suppressed", suppressed)...)
	}
}
