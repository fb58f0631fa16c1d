package broker

import (
	"slices"
	"strings"
	"sync"

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
}

// routes are all subscriptions, by what a topic has to look like. Whoever
// delivers holds mu for reading while it finds out who hears a message and puts
// it into their queues; whoever comes, subscribes or goes holds it for writing.
// So each message is either in the queue of somebody who subscribed, or kept for
// them: none falls between.
type routes struct {
	mu      sync.RWMutex
	exact   map[string][]*subscription // filters without wildcards
	wild    map[string][]*subscription // the others, by their first level if it is no wildcard
	keepers map[string]*keeper         // by the plugin's name
	conns   map[*conn]struct{}         // that have arrived
}

func newRoutes() *routes {
	return &routes{exact: map[string][]*subscription{}, wild: map[string][]*subscription{}, keepers: map[string]*keeper{}, conns: map[*conn]struct{}{}}
}

// place says where a filter's subscriptions are.
func (r *routes) place(filter string) (in map[string][]*subscription, key string) {
	if !strings.ContainsAny(filter, "+#") {
		return r.exact, filter
	}
	first, _, _ := strings.Cut(filter, "/")
	if first == "+" || first == "#" {
		first = ""
	}
	return r.wild, first
}

// add adds s, in place of what its connection had with the same filter. r.mu is
// held for writing.
func (r *routes) add(s *subscription) {
	r.remove(s.conn, s.filter)
	s.conn.subscriptions[s.filter] = s
	in, key := r.place(s.filter)
	in[key] = append(in[key], s)
}

// remove reports whether c had the filter. r.mu is held for writing.
func (r *routes) remove(c *conn, filter string) bool {
	s := c.subscriptions[filter]
	if s == nil {
		return false
	}
	delete(c.subscriptions, filter)
	in, key := r.place(filter)
	var left []*subscription // deliver may hold the old one no longer than mu, but appending must not share it
	for _, other := range in[key] {
		if other != s {
			left = append(left, other)
		}
	}
	if in[key] = left; len(left) == 0 {
		delete(in, key)
	}
	return true
}

// match appends to found one delivery of m for each connection that subscribed to
// its topic, at the best QoS of its subscriptions [MQTT-3.3.5-1] and with all
// their identifiers. r.mu is held.
func (r *routes) match(m *publication, found []delivery) []delivery {
	for _, s := range r.exact[m.topic] {
		found = merge(found, s, m)
	}
	first, _, _ := strings.Cut(m.topic, "/")
	for _, key := range [...]string{first, ""} {
		for _, s := range r.wild[key] {
			if wire.Match(s.filter, m.topic) {
				found = merge(found, s, m)
			}
		}
		if first == "" {
			break
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
	if c.clean || old == nil || old.id != c.id {
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
	if k.plugin.Keep && c.saves {
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
