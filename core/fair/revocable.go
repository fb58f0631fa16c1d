package fair

import "sync"

// Revocable bounds what people hold of whom it is not known yet what they want,
// such as connections that have sent nothing. When all is held, whoever has
// most loses what they have held longest to somebody who has less: many people
// who wait and say nothing keep nobody out. Its methods may be called
// concurrently.
type Revocable[K comparable] struct {
	bounds Bounds
	first  func(K) bool

	mu     sync.Mutex
	common int64 // held by those who do not come first
	all    int64
	people map[K][]*Hold[K] // oldest first; whoever has none is forgotten
}

// Hold is one person's until Release, or until it is taken away.
type Hold[K comparable] struct {
	of      *Revocable[K]
	who     K
	revoked func()
}

// NewRevocable returns a Revocable of which nothing is held. Those of whom first
// is true are bounded by All alone, use what is set aside, and lose nothing; nil
// is nobody.
func NewRevocable[K comparable](b Bounds, first func(K) bool) *Revocable[K] {
	return &Revocable[K]{bounds: b, first: first, people: map[K][]*Hold[K]{}}
}

// Take returns a hold for who, or ErrPersonFull, or ErrFull if nobody has more
// than who. revoked is called, at most once, when the hold is taken away; it
// must not wait.
func (p *Revocable[K]) Take(who K, revoked func()) (*Hold[K], error) {
	hold, lost, err := p.take(who, revoked)
	if lost != nil {
		lost.revoked()
	}
	return hold, err
}

func (p *Revocable[K]) take(who K, revoked func()) (hold, lost *Hold[K], err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	first := p.first != nil && p.first(who)
	if !first && int64(len(p.people[who])) >= p.bounds.Each {
		return nil, nil, ErrPersonFull
	}
	if p.all >= p.bounds.All || !first && p.common >= p.bounds.All-p.bounds.Aside {
		if lost = p.oldestOfMost(len(p.people[who])+1, first); lost == nil {
			return nil, nil, ErrFull
		}
		p.remove(lost)
	}
	hold = &Hold[K]{of: p, who: who, revoked: revoked}
	p.people[who] = append(p.people[who], hold)
	p.all++
	if !first {
		p.common++
	}
	return hold, lost, nil
}

// oldestOfMost returns the oldest hold of whoever has most, and more than least,
// of those who do not come first. Whoever comes first may take anybody's.
func (p *Revocable[K]) oldestOfMost(least int, first bool) *Hold[K] {
	if first {
		least = 0
	}
	var found *Hold[K]
	for who, held := range p.people {
		if len(held) > least && (p.first == nil || !p.first(who)) {
			found, least = held[0], len(held)
		}
	}
	return found
}

// remove takes hold out, if it still counts. p.mu is locked.
func (p *Revocable[K]) remove(hold *Hold[K]) {
	held := p.people[hold.who]
	for i, other := range held {
		if other != hold {
			continue
		}
		if len(held) == 1 {
			delete(p.people, hold.who)
		} else {
			p.people[hold.who] = append(held[:i:i], held[i+1:]...)
		}
		p.all--
		if p.first == nil || !p.first(hold.who) {
			p.common--
		}
		return
	}
}

// Full reports whether who has as much as one person may.
func (p *Revocable[K]) Full(who K) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return !(p.first != nil && p.first(who)) && int64(len(p.people[who])) >= p.bounds.Each
}

// Release gives the hold back. It may be called more than once, and on nil.
func (t *Hold[K]) Release() {
	if t == nil {
		return
	}
	t.of.mu.Lock()
	defer t.of.mu.Unlock()
	t.of.remove(t)
}

// Held is how many holds all people have together.
func (p *Revocable[K]) Held() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.all
}
