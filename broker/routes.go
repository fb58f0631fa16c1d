package broker

import (
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"kpm/broker/packet"
	"kpm/core"
	"kpm/core/wire"
)

// subscription is what one filter of a connection asks for.
type subscription struct {
	conn       *conn
	filter     string
	qos        byte
	noLocal    bool
	identifier int // version 5; 0 is none
	key        string
}

// routes are all subscriptions, by what a topic has to look like. Whoever
// delivers holds mu for reading while it finds out who hears a message and puts
// it into their queues; whoever comes, subscribes or goes holds it for writing.
// So each message is either in the queue of somebody who subscribed, or kept for
// them: none falls between.
type routes struct {
	mu      sync.RWMutex
	index   *mqtt.TopicsIndex        // whose clients are single subscriptions
	byKey   map[string]*subscription // by the client's name in index
	last    uint64                   // key that was given
	keepers map[string]*keeper       // by the plugin's name
	conns   map[*conn]struct{}       // that have arrived
}

func newRoutes() *routes {
	return &routes{index: mqtt.NewTopicsIndex(), byKey: map[string]*subscription{}, keepers: map[string]*keeper{}, conns: map[*conn]struct{}{}}
}

// indexed are the filters by which the index finds a subscription. Pitfall: mochi
// finds a/b by a/b/#, and not by a/+/#.
func indexed(filter string) []string {
	if parent, ok := strings.CutSuffix(filter, "/#"); ok && (parent == "+" || strings.HasSuffix(parent, "/+")) {
		return []string{filter, parent}
	}
	return []string{filter}
}

// add adds s, in place of what its connection had with the same filter. r.mu is
// held for writing.
func (r *routes) add(s *subscription) {
	r.remove(s.conn, s.filter)
	r.last++
	s.key = strconv.FormatUint(r.last, 36)
	s.conn.subscriptions[s.filter], r.byKey[s.key] = s, s
	for _, filter := range indexed(s.filter) {
		r.index.Subscribe(s.key, packets.Subscription{Filter: filter})
	}
}

// remove reports whether c had the filter. r.mu is held for writing.
func (r *routes) remove(c *conn, filter string) bool {
	s := c.subscriptions[filter]
	if s == nil {
		return false
	}
	delete(c.subscriptions, filter)
	delete(r.byKey, s.key)
	for _, filter := range indexed(filter) {
		r.index.Unsubscribe(filter, s.key)
	}
	return true
}

// match appends to found one delivery of m for each connection that subscribed to
// its topic, at the best QoS of its subscriptions [MQTT-3.3.5-1] and with all
// their identifiers. r.mu is held.
func (r *routes) match(m *publication, found []delivery) []delivery {
	for key := range r.index.Subscribers(m.topic).Subscriptions {
		// What rights are checked by has the last word about who hears what.
		if s := r.byKey[key]; wire.Match(s.filter, m.topic) {
			found = merge(found, s, m)
		}
	}
	return found
}

func merge(found []delivery, s *subscription, m *publication) []delivery {
	if s.noLocal && m.origin == s.conn.id {
		return found
	}
	i := 0
	for i < len(found) && found[i].to != s.conn {
		i++
	}
	if i == len(found) {
		found = append(found, delivery{publication: m, to: s.conn})
	}
	d := &found[i]
	d.qos = max(d.qos, min(m.qos, s.qos))
	if s.identifier > 0 {
		d.identifiers = append(d.identifiers, s.identifier)
	}
	return found
}

// keeperOf returns who keeps for p, or nil. r.mu is held.
func (r *routes) keeperOf(p core.Principal) *keeper {
	if p.Kind != core.Plugin || p.InUserSession {
		return nil
	}
	return r.keepers[p.Name]
}

// arrive makes c known before it has subscribed to anything, and resumes what the
// same process left behind; present says that there was something, and keeps
// that something would be.
func (r *routes) arrive(c *conn) (keeps, present bool, released []delivery) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.conns[c] = struct{}{}
	k := r.keeperOf(c.principal)
	if c.keeper = k; k == nil {
		return false, false, nil
	}
	k.live++
	if !k.plugin.Keep {
		return false, false, nil
	}
	c.out.repeat = true
	old := k.resume
	k.resume = nil
	if c.clean || old == nil || old.id != c.id || !old.until.IsZero() && time.Now().After(old.until) {
		k.restart()
		return true, false, nil
	}
	c.inbound.unreleased = old.unreleased
	released = k.takeReleased(c)
	for _, s := range old.subscriptions {
		s.conn = c
		r.add(&s)
		k.run[s.filter] = true
		k.handOver(&s)
	}
	return true, true, released
}

// leave takes c away. What it was not given is kept, or returned.
func (r *routes) leave(c *conn) (lost []delivery) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.conns, c)
	left := c.out.close()
	resume := &resumable{id: c.id}
	for filter, s := range c.subscriptions {
		resume.subscriptions = append(resume.subscriptions, *s)
		r.remove(c, filter)
	}
	k := c.keeper
	if k == nil {
		return left
	}
	if k.live--; k.live == 0 {
		if len(k.run) > 0 {
			k.filters = k.run
		}
		k.run = map[string]bool{}
	}
	if k.plugin.Keep && c.sessionLife > 0 {
		if c.sessionLife != packet.NoExpiry {
			resume.until = time.Now().Add(time.Duration(c.sessionLife) * time.Second)
		}
		c.inbound.mu.Lock()
		resume.unreleased = c.inbound.unreleased
		c.inbound.mu.Unlock()
		k.resume = resume
	}
	var kept []delivery
	for _, d := range left {
		if k.covers(d.topic) && !r.hears(k, d.publication) {
			kept = append(kept, d)
		} else {
			lost = append(lost, d)
		}
	}
	k.giveBack(kept)
	return lost
}

// hears reports whether another connection of k's plugin subscribed to m's topic.
func (r *routes) hears(k *keeper, m *publication) bool {
	return slices.ContainsFunc(r.match(m, nil), func(d delivery) bool { return d.to.keeper == k })
}

// subscribe adds s and hands over what was kept for it.
func (r *routes) subscribe(s *subscription) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.add(s)
	if k := s.conn.keeper; k != nil {
		k.run[s.filter] = true
		k.handOver(s)
	}
}

// unsubscribe reports whether c had the filter.
func (r *routes) unsubscribe(c *conn, filter string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if c.keeper != nil {
		delete(c.keeper.run, filter)
	}
	return r.remove(c, filter)
}
