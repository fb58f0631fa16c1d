package mfa

import (
	"sync"
	"time"

	"kpm/core"
)

// Bounds of what is remembered: of one person, and of all.
const (
	maxOwn = 256
	maxAll = 8192
)

// Place is where somebody was verified: what is remembered counts there alone.
type Place struct {
	User core.UserID
	// Session is the login session, empty where there is none.
	Session core.SessionID
	// Terminal is the controlling terminal. A process without one is remembered
	// nothing of.
	Terminal core.Terminal
}

// Memory is who was verified a short time ago, where, and for which policy. It
// is lost with the service.
//
// Attack: a program that the person did not start at this terminal, such as one
// of another session, a service of theirs or whatever has a terminal of its own,
// runs something because they have just entered a code (wish W5 of sudo's
// users). It has another Place, or none.
//
// Attack: the clock is set back so that it lasts longer. An entry ends when it
// is too old by the monotonic clock, or by the wall clock, which goes on while a
// machine sleeps.
type Memory struct {
	last time.Duration

	mu      sync.Mutex
	entries map[entry]time.Time // when it was verified
}

type entry struct {
	place  Place
	policy string
}

// NewMemory returns one that remembers for last; 0 remembers nothing.
func NewMemory(last time.Duration) *Memory {
	return &Memory{last: last, entries: map[entry]time.Time{}}
}

// Lasts is for how long something is remembered.
func (m *Memory) Lasts() time.Duration { return m.last }

// Remembered reports whether somebody was verified at this place for every one of
// the policies that ask now.
func (m *Memory) Remembered(place Place, policies []core.PolicyRef) bool {
	if place.Terminal.None() || len(policies) == 0 {
		return false
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, p := range policies {
		if at, known := m.entries[entry{place, p.ID}]; !known || !m.fresh(at) {
			return false
		}
	}
	return true
}

// fresh reports whether what was verified then counts still.
func (m *Memory) fresh(then time.Time) bool {
	now := time.Now()
	// Round strips the monotonic reading: the second is by the wall clock.
	return m.within(now.Sub(then), now.Round(0).Sub(then.Round(0)))
}

// within reports whether both clocks say that it is not too old.
func (m *Memory) within(monotonic, wall time.Duration) bool {
	return monotonic < m.last && wall < m.last
}

// Remember is told that somebody was verified, now, for these policies. Being used
// does not lengthen it.
func (m *Memory) Remember(place Place, policies []core.PolicyRef) {
	if place.Terminal.None() || m.last == 0 {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	own := 0
	for e, at := range m.entries {
		switch {
		case !m.fresh(at):
			delete(m.entries, e)
		case e.place.User == place.User:
			own++
		}
	}
	for _, p := range policies {
		// Who has more is asked more often.
		if own++; own > maxOwn || len(m.entries) >= maxAll {
			return
		}
		m.entries[entry{place, p.ID}] = time.Now()
	}
}

// Forget forgets what is remembered at one place.
func (m *Memory) Forget(place Place) {
	m.forget(func(e entry) bool { return e.place == place })
}

// ForgetUser forgets what is remembered of one person, everywhere.
func (m *Memory) ForgetUser(user core.UserID) {
	m.forget(func(e entry) bool { return e.place.User == user })
}

func (m *Memory) forget(which func(entry) bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for e := range m.entries {
		if which(e) {
			delete(m.entries, e)
		}
	}
}
