package fair

import (
	"errors"
	"sync"

	"kpm/core"
)

var (
	// ErrPersonFull means that one person has, or would have, more than one
	// person may.
	ErrPersonFull = core.NewError(core.TooMany, "the caller has reached the limit for one caller")
	// ErrFull means that all people together have, or would have, more than
	// there is.
	ErrFull = core.NewError(core.TooMany, "all callers together have reached the limit")

	errNotOpen = errors.New("the slot is in use, or has been released")
)

// Bounds say how much there is, in units of the caller's: connections, bytes.
// Neither is negative.
type Bounds struct {
	Each int64 // for one person
	All  int64 // for all together
}

// Slots is a semaphore with a bound for each person and one for all of them.
// Its methods may be called concurrently.
type Slots[K comparable] struct {
	bounds Bounds

	mu      sync.Mutex
	taken   int64
	people  map[K]int64  // who have some; whoever has none is forgotten
	waiting []*waiter[K] // in order of arrival
}

// NewSlots returns Slots of which none is taken.
func NewSlots[K comparable](b Bounds) *Slots[K] {
	return &Slots[K]{bounds: b, people: map[K]int64{}}
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
	nobodys  slotState = iota // counts for all
	claimed                   // counts for all and for who
	released                  // counts no more
)

// TryTake takes n units for who, or returns ErrPersonFull or ErrFull. A
// negative n is never there.
func (s *Slots[K]) TryTake(who K, n int64) (*Slot[K], error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.room(who, n); err != nil {
		return nil, err
	}
	slot := &Slot[K]{of: s, n: n, who: who}
	s.count(slot)
	s.admit()
	return slot, nil
}

// Enter takes one unit for somebody who is not known yet, and whom Claim will
// name, or returns ErrFull.
func (s *Slots[K]) Enter() (*Slot[K], error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.taken >= s.bounds.All {
		return nil, ErrFull
	}
	s.taken++
	return &Slot[K]{of: s, n: 1}, nil
}

// Claim counts a slot that Enter has taken for who, or returns ErrPersonFull.
// Either way Release gives it back.
func (t *Slot[K]) Claim(who K) error {
	s := t.of
	s.mu.Lock()
	defer s.mu.Unlock()
	if t.state != nobodys {
		return errNotOpen
	}
	if t.n > s.bounds.Each-s.people[who] {
		return ErrPersonFull
	}
	t.who, t.state = who, claimed
	s.people[who] += t.n
	s.admit()
	return nil
}

// Release gives the slot back. It may be called more than once, and on nil.
func (t *Slot[K]) Release() {
	if t == nil {
		return
	}
	s := t.of
	s.mu.Lock()
	defer s.mu.Unlock()
	if t.state == released {
		return
	}
	s.taken -= t.n
	if t.state == claimed {
		if s.people[t.who] -= t.n; s.people[t.who] == 0 {
			delete(s.people, t.who)
		}
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
	case n < 0 || n > s.bounds.Each-s.people[who]:
		return ErrPersonFull
	case n > s.bounds.All-s.taken:
		return ErrFull
	}
	return nil
}

// count makes slot count, for which there is room.
func (s *Slots[K]) count(slot *Slot[K]) {
	slot.state = claimed
	s.taken += slot.n
	s.people[slot.who] += slot.n
}
