package fair

import (
	"sync"
	"time"

	"kpm/core"
)

var (
	// ErrPersonFull means that one person has, or would have, more than one
	// person may.
	ErrPersonFull = core.NewError(core.TooMany, "the caller has reached the limit for one caller")
	// ErrFull means that all people together have, or would have, more than
	// there is.
	ErrFull = core.NewError(core.TooMany, "all callers together have reached the limit")
)

// Bounds say how much there is, in units of the caller's: connections, bytes.
// None is negative.
type Bounds struct {
	Each int64 // for one person
	All  int64 // for all together
	// Alone is for one person while nobody else has anything or waits for it, and nobody
	// else has for aloneAfter, where that is more than Each. Whoever comes then may find
	// so much taken once, and not each time they come.
	Alone int64
	// Aside is the part of All that only those get who come first, such as an
	// administrator: however many people there are, they find room.
	Aside int64
}

// aloneAfter is how long nobody else has asked for anything when a person is alone.
const aloneAfter = 10 * time.Second

// Slots is a semaphore with a bound for each person and one for all of them.
// Its methods may be called concurrently.
type Slots[K comparable] struct {
	bounds Bounds
	first  func(K) bool // who may use what is set aside; nil: nobody

	mu      sync.Mutex
	taken   int64
	common  int64        // of taken, by those who do not come first
	people  map[K]int64  // who have some; whoever has none is forgotten
	waiting []*waiter[K] // in order of arrival
	waits   map[K]int    // how many of them are a person's
	last    K            // who asked for something last
	asked   time.Time    // when that was; zero if nobody ever did
	others  time.Time    // when anybody but last did
}

// NewSlots returns Slots of which none is taken.
func NewSlots[K comparable](b Bounds) *Slots[K] {
	return &Slots[K]{bounds: b, people: map[K]int64{}, waits: map[K]int{}}
}

// NewSlotsFor is NewSlots with people who come first: what is set aside is
// theirs.
func NewSlotsFor[K comparable](b Bounds, first func(K) bool) *Slots[K] {
	s := NewSlots[K](b)
	s.first = first
	return s
}

// Slot is what somebody has taken. Its methods may be called concurrently.
type Slot[K comparable] struct {
	of    *Slots[K]
	n     int64
	who   K
	state slotState // under of.mu
}

type slotState uint8

const (
	waits    slotState = iota // does not count yet
	counted                   // counts for all and for who
	released                  // counts no more
)

// TryTake takes n units for who, or returns ErrPersonFull or ErrFull. A
// negative n is never there.
func (s *Slots[K]) TryTake(who K, n int64) (*Slot[K], error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asks(who)
	if err := s.room(who, n); err != nil {
		return nil, err
	}
	slot := &Slot[K]{of: s, n: n, who: who}
	s.count(slot)
	s.admit()
	return slot, nil
}

// Have counts n units that who has already, whether or not there is room: it
// keeps them from having more.
func (s *Slots[K]) Have(who K, n int64) *Slot[K] {
	s.mu.Lock()
	defer s.mu.Unlock()
	slot := &Slot[K]{of: s, n: n, who: who}
	s.count(slot)
	return slot
}

// Release gives the slot back. It may be called more than once, and on nil.
func (t *Slot[K]) Release() {
	if t == nil {
		return
	}
	s := t.of
	s.mu.Lock()
	defer s.mu.Unlock()
	if t.state != counted {
		return
	}
	s.taken -= t.n
	if !s.isFirst(t.who) {
		s.common -= t.n
	}
	if s.people[t.who] -= t.n; s.people[t.who] == 0 {
		delete(s.people, t.who)
	}
	t.state = released
	s.admit()
}

// Taken is how many units all people have together.
func (s *Slots[K]) Taken() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.taken
}

// room says whether n units are there for who: one person's bound first, so
// that whoever has enough is told so, and not that all are busy.
func (s *Slots[K]) room(who K, n int64) error {
	switch {
	case n < 0 || n > s.each(who)-s.people[who]:
		return ErrPersonFull
	case n > s.bounds.All-s.taken, !s.isFirst(who) && n > s.bounds.All-s.bounds.Aside-s.common:
		return ErrFull
	}
	return nil
}

// each is how much who may have now.
func (s *Slots[K]) each(who K) int64 {
	if s.bounds.Alone <= s.bounds.Each || !onlyOf(s.people, who) || !onlyOf(s.waits, who) {
		return s.bounds.Each
	}
	others := s.others
	if who != s.last {
		others = s.asked
	}
	if time.Since(others) < aloneAfter {
		return s.bounds.Each
	}
	return s.bounds.Alone
}

// asks notes that who asks for something.
func (s *Slots[K]) asks(who K) {
	if who != s.last {
		s.others, s.last = s.asked, who
	}
	s.asked = time.Now()
}

// onlyOf reports whether m has nothing of anybody else.
func onlyOf[K comparable, V any](m map[K]V, who K) bool {
	_, has := m[who]
	return len(m) == 0 || len(m) == 1 && has
}

func (s *Slots[K]) isFirst(who K) bool { return s.first != nil && s.first(who) }

// count makes slot count, for which there is room.
func (s *Slots[K]) count(slot *Slot[K]) {
	slot.state = counted
	s.taken += slot.n
	if !s.isFirst(slot.who) {
		s.common += slot.n
	}
	s.people[slot.who] += slot.n
}
