package fair

import (
	"context"
	"errors"
	"slices"
)

// waiter is somebody who waits in Take.
type waiter[K comparable] struct {
	slot  *Slot[K]
	ready chan struct{} // closed when slot counts
}

// Take is TryTake that waits until there is room, or until ctx ends; then it
// returns the error of ctx together with the one that says for what it waited.
// What would not fit if nobody had anything is
// ErrPersonFull or ErrFull at once. Who waits costs memory: callers bound how
// many do.
func (s *Slots[K]) Take(ctx context.Context, who K, n int64) (*Slot[K], error) {
	switch {
	case n < 0 || n > s.bounds.Each:
		return nil, ErrPersonFull
	case n > s.bounds.All, !s.isFirst(who) && n > s.bounds.All-s.bounds.Aside:
		return nil, ErrFull
	}
	slot := &Slot[K]{of: s, n: n, who: who}
	w := s.enqueue(slot)
	if w == nil {
		return slot, nil
	}
	select {
	case <-w.ready:
		return slot, nil
	case <-ctx.Done():
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	at := slices.Index(s.waiting, w)
	if at < 0 { // its turn came at the same moment
		return slot, nil
	}
	s.waiting = slices.Delete(s.waiting, at, at+1)
	s.waitsNoMore(who)
	err := s.room(who, n)
	if err == nil { // others are before it
		err = ErrFull
	}
	s.admit() // those behind may fit
	return nil, errors.Join(ctx.Err(), err)
}

// enqueue makes slot count, or returns the waiter for it.
func (s *Slots[K]) enqueue(slot *Slot[K]) *waiter[K] {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asks(slot.who)
	if len(s.waiting) == 0 && s.room(slot.who, slot.n) == nil {
		s.count(slot)
		return nil
	}
	w := &waiter[K]{slot, make(chan struct{})}
	s.waiting = append(s.waiting, w)
	s.waits[slot.who]++
	s.admit()
	return w
}

// waitsNoMore counts one of those off who wait for who.
func (s *Slots[K]) waitsNoMore(who K) {
	if s.waits[who]--; s.waits[who] == 0 {
		delete(s.waits, who)
	}
}

// admit lets those in who fit by now, in order of arrival. Whoever has too much
// already is passed over and holds nobody up. Whoever waits for others is not:
// many small requests would keep a large one out for ever; only those who come
// first pass somebody who does not. It is called after
// every change, since who is passed over depends on what people have.
func (s *Slots[K]) admit() {
	if len(s.waiting) == 0 {
		return
	}
	blocked, all := false, false // those who do not come first, and everybody
	// full was passed over: what does not fit does not later on. A crowd of one person's
	// is looked at once, and not each of it.
	var full *Slot[K]
	s.waiting = slices.DeleteFunc(s.waiting, func(w *waiter[K]) bool {
		if all || full != nil && full.who == w.slot.who && full.n <= w.slot.n {
			return false
		}
		first := s.isFirst(w.slot.who)
		if blocked && !first {
			return false
		}
		switch err := s.room(w.slot.who, w.slot.n); {
		case err == ErrPersonFull:
			full = w.slot
			return false
		case err != nil:
			blocked = true
			all = all || first
			return false
		}
		s.waitsNoMore(w.slot.who)
		s.count(w.slot)
		close(w.ready)
		return true
	})
}
