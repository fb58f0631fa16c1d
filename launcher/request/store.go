package request

import (
	"context"
	"fmt"
	"sync"
	"time"

	"kpm/core"
	"kpm/core/fair"
)

// asidePart is the part of MaxOpen that is set aside.
const asidePart = 8

// remembered is how many finished requests are known by their state, so that a
// second launch of one is told that it comes too late.
const remembered = 1024

// Store holds the open requests.
type Store struct {
	limits Limits
	record Recorder
	moved  func(Move)

	slots *fair.Slots[core.UserID]

	mu     sync.Mutex
	open   map[core.RequestID]*Request
	finals map[core.RequestID]State
	order  []core.RequestID // of finals, oldest first
}

// NewStore returns an empty store whose requests are recorded by record.
// A part of MaxOpen is set aside for those of whom first is true.
func NewStore(limits Limits, first func(core.UserID) bool, record Recorder) *Store {
	all := int64(limits.MaxOpen)
	return &Store{
		limits: limits,
		record: record,
		slots:  fair.NewSlotsFor[core.UserID](fair.Bounds{Each: int64(limits.MaxOpenPerUser), All: all, Aside: all / asidePart}, first),
		open:   map[core.RequestID]*Request{},
		finals: map[core.RequestID]State{},
	}
}

// Observe has moved told of each transition of the requests that are opened from
// now on. It must not call back, and not block. It is called before any is.
func (s *Store) Observe(moved func(Move)) { s.moved = moved }

// SetTimes changes how long requests that are opened from now on may take. How
// many may be open stays.
func (s *Store) SetTimes(evaluate, prompt, launch time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.limits.Evaluate, s.limits.Prompt, s.limits.Launch = evaluate, prompt, launch
}

// Limits returns what bounds a request that is opened now.
func (s *Store) Limits() Limits {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.limits
}

// Reserve takes one of a person's slots, before any work is done for them. It
// waits for one until ctx ends, and then returns ErrTooMany, and the error of
// package fair that says whose bound it was.
func (s *Store) Reserve(ctx context.Context, who core.UserID) (*fair.Slot[core.UserID], error) {
	slot, err := s.slots.Take(ctx, who, 1)
	if err != nil {
		return nil, fmt.Errorf("request: %d are open, user %s asks for one more: %w: %w", s.slots.Taken(), who, ErrTooMany, err)
	}
	return slot, nil
}

// Open adds a request in state Opened. The caller holds a reservation and has
// journalled it.
func (s *Store) Open(id core.RequestID) *Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := &Request{id: id, limits: s.limits, record: s.record, forget: s.forget, moved: s.moved, state: Opened, entered: time.Now(), changed: make(chan struct{})}
	s.open[id] = r
	return r
}

// OpenSubstitute is Open for a request of what a redirect rule names: Substitute, and
// never Allow, has it launched.
func (s *Store) OpenSubstitute(id core.RequestID) *Request {
	r := s.Open(id)
	r.substitute = true // before anybody knows of it
	return r
}

// Resume adds a request that an earlier service has left in state Running.
func (s *Store) Resume(id core.RequestID) *Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := &Request{id: id, limits: s.limits, record: s.record, forget: s.forget, moved: s.moved, state: Running, entered: time.Now(), changed: make(chan struct{})}
	s.open[id] = r
	return r
}

// Get returns an open request, ErrConflict for one that has finished, and
// ErrUnknown for one that never was or is long forgotten.
func (s *Store) Get(id core.RequestID) (*Request, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r, ok := s.open[id]; ok {
		return r, nil
	}
	if state, ok := s.finals[id]; ok {
		return nil, fmt.Errorf("request: it is %s: %w", state, ErrConflict)
	}
	return nil, fmt.Errorf("request: %w", ErrUnknown)
}

// State returns the state of an open or recently finished request.
func (s *Store) State(id core.RequestID) (State, bool) {
	s.mu.Lock()
	r, open := s.open[id]
	final, finished := s.finals[id]
	s.mu.Unlock()
	if open {
		state, _, _ := r.View()
		return state, true
	}
	return final, finished
}

// All returns the open requests.
func (s *Store) All() []*Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]*Request, 0, len(s.open))
	for _, r := range s.open {
		list = append(list, r)
	}
	return list
}

// forget moves a request to the finished ones. It may be called twice: a
// deadline and a fact that comes too late both see a final state.
func (s *Store) forget(r *Request) {
	state, _, _ := r.View()
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.open[r.id]; !ok {
		return
	}
	delete(s.open, r.id)
	s.finals[r.id] = state
	s.order = append(s.order, r.id)
	if len(s.order) > remembered {
		delete(s.finals, s.order[0])
		s.order = s.order[1:]
	}
}
