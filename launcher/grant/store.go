package grant

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"kpm/core"
	"kpm/core/port"
	"kpm/core/statefile"
)

// Bounds of one user: grants at a time, and those that are remembered for the sake
// of budgets and pauses.
const (
	maxUserGrants = 32
	maxUserPast   = 256
)

// lookEvery is how often the store looks whether the places of its grants are still
// there.
const lookEvery = 30 * time.Second

// ErrUnknown is wrapped when there is no such grant, or it is somebody else's.
var ErrUnknown = core.NewError(core.NotFound, "no such grant")

// Event is something that happened to a grant.
type Event struct {
	Grant Grant
	// Ended is false for one that was given or renewed.
	Ended bool
	// Why says in words what happened, and By who did it.
	Why string
	By  core.Principal
}

// Config is what a Store works with. Every field but Soon is required.
type Config struct {
	// File is the one in State that grants are kept in.
	File  statefile.File
	Clock port.Clock
	// Alive reports whether a process still exists.
	Alive func(core.ProcessID) bool
	// Record writes an event to the journal, before a grant counts and after it has
	// ended.
	Record func(Event) error
	// Soon, which may be nil, hears once of each grant that is about to end by its time,
	// and for how long it is still there. It must not block or call back.
	Soon func(g Grant, left time.Duration)
	// Rights makes people administrators for as long as a grant of that kind lasts;
	// nil where that cannot be: then such a grant is one for all that the policy is
	// about.
	Rights Rights
	Log    *slog.Logger
}

// Rights is told of grants that make somebody an administrator. It keeps them by
// itself, so that they end whatever becomes of this store.
type Rights interface {
	// Give begins it, for so long from now, or changes how long.
	Give(id string, user core.UserID, name string, policy core.PolicyRef, left time.Duration) error
	// End ends it. There need not be one.
	End(id, why string) error
	// Only ends those that belong to no grant among these.
	Only(ids []string) error
}

// Store keeps grants. Its methods may be called concurrently.
type Store struct {
	cfg Config

	mu     sync.Mutex
	age    age
	grants []*Grant
	past   []past
	broken error // why nothing can be granted; nil if it can

	warned map[string]time.Duration // the ends that were told, by the grant's id

	changed chan struct{}
}

// Open reads what an earlier service has left. Where there is no clock, or the file
// cannot be read, nothing is granted, and Err says why. Grants of an earlier boot
// end.
func Open(cfg Config) *Store {
	s := &Store{cfg: cfg, warned: map[string]time.Duration{}, changed: make(chan struct{}, 1)}
	s.mu.Lock()
	defer s.mu.Unlock()
	rebooted, err := s.load()
	if err != nil {
		s.broken = err
		if !errors.Is(err, errors.ErrUnsupported) {
			cfg.Log.Error("nothing is granted for a time: every command is asked about anew", "error", err)
		}
		return s
	}
	if rebooted {
		s.end(func(*Grant) string { return "the machine was restarted" }, core.ServicePrincipal())
	}
	if cfg.Rights != nil {
		if err := cfg.Rights.Only(idsOf(s.grants)); err != nil {
			cfg.Log.Error("administrators for a time whose grants have ended are not told so", "error", err)
		}
	}
	return s
}

// Err says why nothing can be granted; nil if it can.
func (s *Store) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.broken
}

// Serve ends grants when their time is over or their terminal is gone, until ctx
// ends.
func (s *Store) Serve(ctx context.Context) {
	for {
		wait := s.sweep()
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-s.changed:
		case <-ctx.Done():
		}
		timer.Stop()
		if ctx.Err() != nil {
			return
		}
	}
}

// sweep ends what is over and returns how long there is nothing to do.
func (s *Store) sweep() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	now, err := s.now()
	if err != nil || s.broken != nil {
		return lookEvery
	}
	s.end(func(g *Grant) string {
		switch {
		case now >= g.Ends:
			return "its time is over"
		case g.Uses != nil && *g.Uses == 0:
			return "it is used up"
		case g.Origin.Leader != (core.ProcessID{}) && !s.cfg.Alive(g.Origin.Leader):
			return "where it was given is gone"
		}
		return ""
	}, core.ServicePrincipal())
	next := time.Hour // a change wakes Serve
	for _, g := range s.grants {
		next = min(next, lookEvery, g.left(now), s.warn(g, now))
	}
	for id := range s.warned {
		if !slices.ContainsFunc(s.grants, func(g *Grant) bool { return g.ID == id }) {
			delete(s.warned, id)
		}
	}
	return max(next, time.Millisecond)
}

// warnBefore is how long before its end a grant's owner is told, or half of what it was
// given if that is less.
const warnBefore = 5 * time.Minute

func (g *Grant) warnsAt() time.Duration { return min(warnBefore, (g.Ends-g.Renewed)/2) }

// warn tells of a grant that is about to end, once for each end, and returns when to look
// again. s.mu is held.
func (s *Store) warn(g *Grant, now time.Duration) time.Duration {
	if s.cfg.Soon == nil || s.warned[g.ID] == g.Ends {
		return lookEvery
	}
	left := g.left(now)
	if ahead := left - g.warnsAt(); ahead > 0 {
		return ahead
	}
	s.warned[g.ID] = g.Ends
	s.cfg.Soon(*g, left)
	return lookEvery
}

// end ends the grants for which why says something. s.mu is held.
func (s *Store) end(why func(*Grant) string, by core.Principal) int {
	now, err := s.now()
	if err != nil {
		return 0
	}
	var ended []Event
	s.grants = slices.DeleteFunc(s.grants, func(g *Grant) bool {
		text := why(g)
		if text == "" {
			return false
		}
		s.close(g, now)
		ended = append(ended, Event{Grant: *g, Ended: true, Why: text, By: by})
		return true
	})
	if len(ended) == 0 {
		return 0
	}
	if err := s.save(); err != nil {
		// They are over here. The next service would read them again: it ends those
		// whose time is over, and of a revoked one the journal says that it was.
		s.cfg.Log.Error("the end of grants cannot be kept", "error", err)
	}
	for _, e := range ended {
		if s.cfg.Rights != nil && e.Grant.Administrator {
			if err := s.cfg.Rights.End(e.Grant.ID, e.Why); err != nil {
				s.cfg.Log.Error("an administrator for a time stays one until the time is over", "user", e.Grant.UserName, "error", err)
			}
		}
		s.cfg.Log.Info("a grant has ended", "grant", e.Grant.ID, "user", e.Grant.UserName, "policy", e.Grant.Policy.ID, "why", e.Why)
		if err := s.cfg.Record(e); err != nil {
			s.cfg.Log.Error("the end of a grant is not in the journal", "grant", e.Grant.ID, "error", err)
		}
	}
	return len(ended)
}

// Revoke ends a grant. user is empty for an administrator, who may end anybody's.
// Errors wrap ErrUnknown.
func (s *Store) Revoke(id string, user core.UserID, by core.Principal) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.end(func(g *Grant) string {
		if g.ID == id && (user == "" || g.User == user) {
			return "it was revoked"
		}
		return ""
	}, by)
	if n == 0 {
		return fmt.Errorf("grant %.64q: %w", id, ErrUnknown)
	}
	return nil
}

// Forget ends the grants of a user that were given in the place of that key
// (core.Origin.Key), or all of them if key is empty.
func (s *Store) Forget(user core.UserID, key string, by core.Principal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.end(func(g *Grant) string {
		if g.User == user && (key == "" || g.Key == key) {
			return "it was forgotten"
		}
		return ""
	}, by)
}

// Shown is a grant as people are shown it.
type Shown struct {
	Grant
	Left time.Duration
}

// List returns the grants of a user, or of everybody if user is empty, by the time
// that they have left.
func (s *Store) List(user core.UserID) []Shown {
	s.mu.Lock()
	defer s.mu.Unlock()
	now, err := s.now()
	if err != nil || s.broken != nil {
		return nil
	}
	var list []Shown
	for _, g := range s.grants {
		if left := g.left(now); left > 0 && (user == "" || g.User == user) {
			list = append(list, Shown{*g, left})
		}
	}
	slices.SortStableFunc(list, func(a, b Shown) int { return int(a.Left/time.Second) - int(b.Left/time.Second) })
	return list
}

// stir has Serve look again.
func (s *Store) stir() {
	select {
	case s.changed <- struct{}{}:
	default:
	}
}
