// Package origin says who is behind a request: somebody at a terminal, a program of
// a desktop, a service, or a coding agent. It goes by what the kernel knows of the
// process that asks and of those that it descends from.
//
// It protects nobody against a program that hides: one that leaves its parents and
// makes a terminal of its own looks like a person there. What it gives is that
// nothing that was given to somebody in their terminal is at hand elsewhere, and
// that an agent which does not hide is told from the person for whom it works.
package origin

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"kpm/core"
	"kpm/core/port"
)

// Finder finds out who is behind a request. Its methods may be called concurrently.
type Finder struct {
	ancestry port.Ancestry
	sessions port.Sessions
	agents   *Agents

	mu   sync.Mutex
	seen map[core.SessionID]looked
}

// looked is whether a session could show windows, and when that was asked.
type looked struct {
	graphical bool
	at        time.Time
}

// seenAge is how long it is believed of a session that it can show windows, or cannot:
// every elevation of a script that has no terminal would ask the login manager anew.
// maxSeen bounds the sessions of which it is known.
const (
	seenAge = 10 * time.Second
	maxSeen = 256
)

// NewFinder returns a Finder that takes agents for coding agents.
func NewFinder(ancestry port.Ancestry, sessions port.Sessions, agents *Agents) *Finder {
	return &Finder{ancestry: ancestry, sessions: sessions, agents: agents, seen: map[core.SessionID]looked{}}
}

// sessionsTime bounds the question whether a session can show windows.
const sessionsTime = 250 * time.Millisecond

// Of says who is behind a process. After an error it is ByUnknown, by which nothing
// is granted that depends on it.
func (f *Finder) Of(id core.ProcessID) (core.Origin, error) {
	ancestors, err := f.ancestry.Ancestors(id)
	if err != nil {
		return core.Origin{}, fmt.Errorf("origin: %w", err)
	}
	o := classify(ancestors, f.agents)
	if o.By == core.ByTerminal || o.By == core.ByUnknown {
		return o, nil
	}
	session, err := f.sessions.Of(id)
	if err != nil || session == "" {
		return o, nil // where nobody knows sessions, nothing comes from one
	}
	o.Session = session
	if o.By == core.ByService && f.graphical(session) {
		o.By = core.ByDesktop
	}
	return o, nil
}

// graphical reports whether a session can show windows.
func (f *Finder) graphical(id core.SessionID) bool {
	f.mu.Lock()
	known, ok := f.seen[id]
	f.mu.Unlock()
	if ok && time.Since(known.at) < seenAge {
		return known.graphical
	}
	ctx, cancel := context.WithTimeout(context.Background(), sessionsTime)
	defer cancel()
	sessions, err := f.sessions.List(ctx)
	if err != nil {
		return false
	}
	can := slices.ContainsFunc(sessions, func(s core.Session) bool { return s.ID == id && s.Graphical })
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.seen) >= maxSeen {
		clear(f.seen)
	}
	f.seen[id] = looked{can, time.Now()}
	return can
}

// classify looks at a process, which comes first, and its ancestors.
//
// Attack: an agent starts a command that leaves it, by a parent that ends at once.
// Whoever has not come from the leader of their own session has left somebody, and
// nobody knows whom.
func classify(ancestors []core.Ancestor, agents *Agents) core.Origin {
	if len(ancestors) == 0 {
		return core.Origin{}
	}
	own := ancestors[0]
	o := core.Origin{By: core.ByService, Terminal: own.Terminal, Leader: own.Leader}
	if own.Terminal != "" {
		o.By = core.ByTerminal
	}
	for i := range ancestors {
		if name := agents.Name(&ancestors[i]); name != "" {
			o.By, o.Agent = core.ByAgent, name
			return o
		}
	}
	if own.Leader == (core.ProcessID{}) || !slices.ContainsFunc(ancestors, func(a core.Ancestor) bool { return a.ID == own.Leader }) {
		o.By = core.ByUnknown
	}
	return o
}
