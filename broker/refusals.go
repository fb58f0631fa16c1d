package broker

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"kpm/core"
	"kpm/core/view"
	"kpm/core/wire"
)

// Refusal is what was refused, as it is shown.
type Refusal = view.Refusal

// maxRefused is of how many plugins, jobs and users refusals are shown: when there
// is one more, whose last one is oldest is forgotten.
const maxRefused = 128

// recent are the latest refusals, a few of each name: nobody's hide another's.
type recent struct {
	mu sync.Mutex
	by map[string][]Refusal // oldest first
}

// noteRefusal remembers r, of p. The same one again is counted.
func (b *Broker) noteRefusal(p core.Principal, r Refusal) {
	r.Principal, r.Count, r.Last = p.String(), 1, time.Now().UTC()
	r.Client, r.Topic, r.Reason = brief(r.Client), brief(r.Topic), wire.Printable(r.Reason)
	n := &b.recent
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.by == nil {
		n.by = map[string][]Refusal{}
	}
	of := n.by[r.Principal]
	i := slices.IndexFunc(of, func(o Refusal) bool { return o.Operation == r.Operation && o.Topic == r.Topic })
	if i >= 0 {
		r.Count += of[i].Count
		of = slices.Delete(of, i, i+1)
	} else if len(of) >= maxRefusals {
		of = slices.Delete(of, 0, 1)
	}
	n.by[r.Principal] = append(of, r)
	if len(n.by) > maxRefused {
		n.forgetOldest()
	}
}

// forgetOldest makes room; mu is held.
func (n *recent) forgetOldest() {
	oldest, at := "", time.Now()
	for name, of := range n.by {
		if last := of[len(of)-1].Last; last.Before(at) {
			oldest, at = name, last
		}
	}
	delete(n.by, oldest)
}

// refused counts, remembers and logs what an admitted connection was refused.
func (b *Broker) refused(c *conn, r Refusal) {
	switch r.Operation {
	case "publish":
		b.stats.refusedPublishes.Add(1)
	case "subscription":
		b.stats.refusedSubscriptions.Add(1)
	}
	r.Client = c.id
	b.noteRefusal(c.principal, r)
	if ok, suppressed := b.refusals.allow(c.principal); ok {
		b.cfg.Log.Warn("broker: "+r.Operation+" refused", "principal", c.principal.String(), "client", c.id,
			"topic", brief(r.Topic), "reason", r.Reason, "missing", r.Missing, "suppressed", suppressed)
	}
}

// reportLost counts and logs what a connection was sent, or was to be sent, and
// did not take, and nobody keeps for it.
func (b *Broker) reportLost(c *conn, lost []delivery) {
	if len(lost) == 0 {
		return
	}
	b.stats.drops.add(ConnectionEnded, len(lost))
	if ok, suppressed := b.refusals.allow(c.principal); ok {
		b.cfg.Log.Warn("broker: a connection has ended before it took all messages", "principal", c.principal.String(),
			"client", c.id, "messages", len(lost), "topic", brief(lost[0].topic), "suppressed", suppressed)
	}
}

// Topics shows who may say and hear what: every plugin that SetPlugins named, and
// whoever else is connected. Refusals come latest first.
func (b *Broker) Topics() view.Topics {
	speakers := map[string]*view.Speaker{}
	b.routes.mu.RLock()
	for _, p := range *b.declared.Load() {
		s := &view.Speaker{Name: p.Principal.Name, Kind: "plugin", Topic: p.Topic, Publish: p.Publish, Subscribe: p.Subscribe}
		if k := b.routes.keeperOf(p.Principal); k != nil {
			s.Keeps = p.Keep
			s.Kept, s.KeptDropped = k.counts()
		}
		speakers[s.Kind+" "+s.Name] = s
	}
	for c := range b.routes.conns {
		kind := "plugin"
		if c.principal.Kind == core.JobRun {
			kind = "job"
		}
		s := speakers[kind+" "+c.principal.Name]
		if s == nil {
			rights := c.rights.Load()
			s = &view.Speaker{Name: c.principal.Name, Kind: kind, Publish: rights.publish, Subscribe: rights.subscribe}
			speakers[kind+" "+s.Name] = s
		}
		s.Connections++
		s.Queued += c.out.waiting()
		for filter := range c.subscriptions {
			if !slices.Contains(s.Subscribed, filter) {
				s.Subscribed = append(s.Subscribed, filter)
			}
		}
	}
	b.routes.mu.RUnlock()
	shown := view.Topics{Speakers: []view.Speaker{}, Refusals: b.recent.latest(), Dropped: b.stats.drops.shown()}
	for _, s := range speakers {
		slices.Sort(s.Subscribed)
		s.Publish, s.Subscribe, s.Subscribed = list(s.Publish), list(s.Subscribe), list(s.Subscribed)
		shown.Speakers = append(shown.Speakers, *s)
	}
	slices.SortFunc(shown.Speakers, func(x, y view.Speaker) int {
		return cmp.Or(-cmp.Compare(x.Kind, y.Kind), cmp.Compare(x.Name, y.Name))
	})
	return shown
}

// list is never nil: JSON shows an empty one.
func list(s []string) []string { return append([]string{}, s...) }

func (n *recent) latest() []Refusal {
	n.mu.Lock()
	defer n.mu.Unlock()
	all := []Refusal{}
	for _, of := range n.by {
		all = append(all, of...)
	}
	slices.SortFunc(all, func(x, y Refusal) int { return y.Last.Compare(x.Last) })
	return all
}
