package broker

import (
	"slices"
	"sync"
	"time"

	"kpm/core"
	"kpm/core/wire"
)

// Plugin is what the bus knows of a plugin while no connection of it is there.
type Plugin struct {
	Principal core.Principal
	// Topic is the primary one; Subscribe and Publish are the other lists.
	Topic              string
	Subscribe, Publish []string
	// Keep is CleanSession false in the plugin's file (decision 18a).
	Keep bool
	// Wake is startOnMessage: OnWanted is called for messages on Topic.
	Wake bool
}

// keeper keeps what arrives for one plugin while it is away: for the plugin, since
// its client id changes with each process (decision 18a). It is in memory, and
// bounded by count, bytes and age. What would break a bound is refused and not
// what is kept: that somebody was told it is delivered.
type keeper struct {
	plugin Plugin

	// Under routes.mu, changed only by who holds it for writing.
	live    int             // connections
	run     map[string]bool // filters that they subscribed to
	filters map[string]bool // and those of the run before
	resume  *resumable

	mu       sync.Mutex
	messages []delivery
	bytes    int64
	refused  int // since the plugin is known, since there was no room
	aged     int // since the plugin is known, since they were too old
	// What of them is counted and in the log.
	reportedRefused, reportedAged int
}

// resumable is the session of a client id, for when the same process comes again.
type resumable struct {
	id            string
	until         time.Time // zero is for ever
	subscriptions []subscription
	unreleased    map[uint16]struct{}
}

func newKeeper(p Plugin) *keeper { return &keeper{plugin: p, run: map[string]bool{}} }

// covers reports whether a message on topic is one that the plugin's file asks
// to have kept. Authority topics never are: what they say holds for a moment.
func (k *keeper) covers(topic string) bool {
	if restricted(topic) || k.plugin.Principal.InUserSession {
		return false
	}
	if topic == k.plugin.Topic {
		return k.plugin.Keep || k.plugin.Wake
	}
	return k.plugin.Keep && slices.ContainsFunc(k.plugin.Subscribe, func(f string) bool { return wire.Match(f, topic) })
}

// wants reports whether a message on topic, which is delivered to found, is to be
// kept, and whether the plugin is to be started for it. routes.mu is held.
//
// A plugin that is there and has not subscribed is about to: its primary topic,
// and what it heard in the run before, are kept for it.
func (k *keeper) wants(topic string, found []delivery) (keep, wake bool) {
	if topic != k.plugin.Topic && !k.plugin.Keep || !k.covers(topic) {
		return false, false
	}
	if slices.ContainsFunc(found, func(d delivery) bool { return d.to.keeper == k }) {
		return false, false
	}
	if k.live == 0 {
		return true, k.plugin.Wake && topic == k.plugin.Topic
	}
	if topic == k.plugin.Topic || k.filters == nil && len(k.run) == 0 {
		return true, false
	}
	for filter := range k.filters {
		if wire.Match(filter, topic) {
			return true, false
		}
	}
	return false, false
}

// keep adds d, or reports that it was dropped.
func (k *keeper) keep(d delivery) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.expire()
	if len(k.messages) >= maxKept || k.bytes+d.cost() > maxKeptBytes {
		k.refused++
		return false
	}
	k.messages = append(k.messages, d)
	k.bytes += d.cost()
	return true
}

// expire drops what is too old; k.mu is held.
func (k *keeper) expire() {
	n := 0
	for n < len(k.messages) && time.Since(k.messages[n].received) > keptLife {
		k.bytes -= k.messages[n].cost()
		n++
	}
	k.aged += n
	k.messages = slices.Delete(k.messages, 0, n)
}

// giveBack puts what a connection did not take before everything else. It was
// within that connection's bounds; here it counts towards the keeper's.
func (k *keeper) giveBack(ds []delivery) {
	k.mu.Lock()
	defer k.mu.Unlock()
	back := make([]delivery, 0, len(ds)+len(k.messages))
	for _, d := range ds {
		back = append(back, delivery{publication: d.publication, qos: d.publication.qos, id: d.id, dup: d.dup, released: d.released})
		k.bytes += d.cost()
	}
	k.messages = append(back, k.messages...)
	k.expire()
}

// handOver moves what s asks for into its connection's queue: while routes.mu is
// held for writing, so that nothing newer comes before it.
func (k *keeper) handOver(s *subscription) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.expire()
	rights := s.conn.rights.Load()
	var taken, left []delivery
	var bytes int64
	for _, d := range k.messages {
		if !wire.Match(s.filter, d.topic) || !rights.mayRead(d.topic) {
			left = append(left, d)
			bytes += d.cost()
			continue
		}
		d.to, d.qos = s.conn, min(d.publication.qos, s.qos)
		if s.identifier > 0 {
			d.identifiers = []int{s.identifier}
		}
		if d.qos == 0 {
			d.id, d.dup = 0, false
		}
		taken = append(taken, d)
	}
	if s.conn.out.hand(taken) {
		k.messages, k.bytes = left, bytes
	}
}

// takeReleased takes what the client of c has received and is to complete.
func (k *keeper) takeReleased(c *conn) (released []delivery) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.messages = slices.DeleteFunc(k.messages, func(d delivery) bool {
		if d.released {
			d.to = c
			released = append(released, d)
			k.bytes -= d.cost()
		}
		return d.released
	})
	return released
}

// restart has what was sent on an earlier connection sent as if for the first
// time: another client knows nothing of it.
func (k *keeper) restart() {
	k.mu.Lock()
	defer k.mu.Unlock()
	for i := range k.messages {
		k.messages[i].id, k.messages[i].dup, k.messages[i].released = 0, false, false
	}
}

// counts says how much is kept, and how much was dropped.
func (k *keeper) counts() (kept int, dropped uint64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.expire()
	return len(k.messages), uint64(k.refused + k.aged)
}

// reportKeeper counts and logs what k has dropped since the last time.
func (b *Broker) reportKeeper(k *keeper) {
	k.mu.Lock()
	k.expire()
	refused, aged := k.refused-k.reportedRefused, k.aged-k.reportedAged
	k.reportedRefused, k.reportedAged = k.refused, k.aged
	k.mu.Unlock()
	if refused+aged == 0 {
		return
	}
	b.stats.drops.add(KeptFull, refused)
	b.stats.drops.add(KeptTooLong, aged)
	if ok, suppressed := b.refusals.allow(k.plugin.Principal); ok {
		b.cfg.Log.Warn("broker: messages for a plugin that is away are dropped", "plugin", k.plugin.Principal.Name,
			"messages", refused+aged, "suppressed", suppressed, "limit", maxKept, "bytes", maxKeptBytes, "age", keptLife.String())
	}
}

// SetPlugins says which plugins there are, as their files are now. What is kept
// for one that keeps no longer, or is gone, is dropped. The rights of every
// connection are asked for again.
func (b *Broker) SetPlugins(plugins []Plugin) {
	r := b.routes
	r.mu.Lock()
	before := r.keepers
	r.keepers = map[string]*keeper{}
	b.declared.Store(&plugins)
	for _, p := range plugins {
		if !p.Keep && !p.Wake || p.Principal.InUserSession {
			continue
		}
		k := before[p.Principal.Name]
		if k == nil {
			k = newKeeper(p)
		}
		k.plugin = p
		r.keepers[p.Principal.Name] = k
		delete(before, p.Principal.Name)
		k.live = 0
	}
	for c := range r.conns {
		if c.keeper = r.keeperOf(c.principal); c.keeper != nil {
			c.keeper.live++
		}
	}
	r.mu.Unlock()
	for _, k := range before {
		if kept, _ := k.counts(); kept > 0 {
			b.stats.drops.add(KeptNoLonger, kept)
			b.cfg.Log.Warn("broker: messages were kept for a plugin that keeps none any more, and are dropped", "plugin", k.plugin.Principal.Name, "messages", kept)
		}
	}
	b.refreshRights()
}

// refreshRights asks again what every connection may say and hear.
func (b *Broker) refreshRights() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range b.ids {
		s := newSpeaker(c.principal, b.cfg.Topics)
		c.rights.Store(&s)
	}
}
