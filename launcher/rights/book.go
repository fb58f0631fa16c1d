package rights

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"kpm/core"
	"kpm/core/port"
	"kpm/core/statefile"
)

// What a Change says has happened.
const (
	TookAway = "taken"      // out of the group, by policy
	GaveBack = "given-back" // in it again
	GaveTime = "given"      // in it for a time
	TimeOver = "ended"      // out of it again
	WouldBe  = "would-take" // a policy that only watches would have taken it
	LeftOver = "not-taken"  // policy wants it taken, and it is not: Why says why
)

// Change is something that has happened, or is going to, to somebody's place in a
// group.
type Change struct {
	What     string           `json:"what"`
	Place    Place            `json:"place"`
	Policies []core.PolicyRef `json:"policies,omitempty"`
	Grant    string           `json:"grant,omitempty"`
	Why      string           `json:"why,omitempty"`
	By       string           `json:"by,omitempty"`
	At       time.Time        `json:"at"`
	// Notices are what the policy has the person told.
	Notices []core.Notice `json:"notices,omitempty"`
}

// Config is what a Book works with. Every field without a default is required.
type Config struct {
	// File is the one in State that places are kept in.
	File       statefile.File
	Membership port.Membership
	Accounts   port.Accounts
	Clock      port.Clock
	// Alarms end what is given also when this service does not run by then, by
	// running EndOverdue; nil where there are none.
	Alarms     port.Alarms
	EndOverdue []string
	// Groups are those of administrators.
	Groups []string
	// Protected are names of users whom no policy takes anything from. Besides
	// these, System reports whether an account is one of the system's own.
	Protected []string
	System    func(core.Account) bool
	// TakeLast lets policy take the last administrator out.
	TakeLast bool
	// Ask asks policy about somebody who is in these groups, or was taken from them;
	// nil where there is nobody to ask: then policy takes and gives back nothing.
	Ask func(ctx context.Context, member core.Account, groups []string) (core.Removal, error)
	// Record writes a change to the journal: before one that takes or gives, after
	// one that ends something. nil: it is kept for the next service.
	Record func(Change) error
	// Tell tells the person; nil tells nobody. It must not block.
	Tell func(Change)
	// Every is how often policy is asked, and the groups are looked at, without
	// cause, while there is a policy about them, or somebody who was taken out or put
	// in; 0 is never.
	Every time.Duration
	Log   *slog.Logger
}

// Book is what was taken and given. Its methods may be called concurrently.
type Book struct {
	cfg Config

	round sync.Mutex // held during one; before mu
	mu    sync.Mutex
	kept  kept

	said    map[Place]string         // of WouldBe and LeftOver: what was said last
	armed   map[string]time.Duration // the ends that alarms are set for, by grant
	failed  atomic.Bool              // the last round
	policed atomic.Bool              // there are policies about the groups
	changed chan struct{}
}

// Open reads what an earlier service has left. An error means that it cannot be
// read: then nothing may be changed.
func Open(cfg Config) (*Book, error) {
	b := &Book{cfg: cfg, said: map[Place]string{}, armed: map[string]time.Duration{}, changed: make(chan struct{}, 1)}
	if err := b.load(); err != nil {
		return nil, err
	}
	return b, nil
}

// Serve makes a round now, whenever something has changed, and every so often, until
// ctx ends.
func (b *Book) Serve(ctx context.Context) {
	for {
		err := b.Round(ctx)
		switch b.failed.Store(err != nil); {
		case err == nil, ctx.Err() != nil:
		case errors.Is(err, core.ErrUndecided):
			b.cfg.Log.Debug("the groups of administrators are not looked at yet", "error", err)
		default:
			b.cfg.Log.Error("the groups of administrators are not as policy says", "error", err)
		}
		timer := time.NewTimer(b.wait())
		select {
		case <-timer.C:
		case <-b.changed:
		case <-ctx.Done():
		}
		timer.Stop()
		if ctx.Err() != nil {
			return
		}
	}
}

// forever is how long a round is not needed by itself.
const forever = 24 * time.Hour

// wait is until when there is nothing to do.
func (b *Book) wait() time.Duration {
	next := forever
	if b.failed.Load() {
		next = retry
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	// What is given ends by a clock that goes on while the machine sleeps, and timers do not.
	if b.cfg.Every > 0 && (b.policed.Load() || len(b.kept.Taken)+len(b.kept.Given) > 0) {
		next = min(next, b.cfg.Every)
	}
	_, now, err := b.cfg.Clock.Now()
	if err != nil {
		return next
	}
	for _, g := range b.kept.Given {
		if left := g.Ends - now; left > 0 { // what is over has failed: again, but not at once
			next = min(next, left)
		} else {
			next = min(next, retry)
		}
	}
	return next
}

// retry is how long after a change that has failed the next is tried.
const retry = 10 * time.Second

// Concerns says whether there are policies about the groups. Without one there is
// nothing to look for, and nobody to ask, until Stir says that policies have changed.
func (b *Book) Concerns(policed bool) { b.policed.Store(policed) }

// Stir has Serve make a round soon.
func (b *Book) Stir() {
	select {
	case b.changed <- struct{}{}:
	default:
	}
}

// Failed reports whether something could not be done, and is tried again.
func (b *Book) Failed() bool { return b.failed.Load() }

// Round brings the groups in line with the file, and the file with policy. What
// fails for one person is no other's loss.
func (b *Book) Round(ctx context.Context) error {
	b.round.Lock()
	defer b.round.Unlock()
	errs := []error{b.tellLate(), b.endGiven(ctx), b.putGiven(ctx)}
	if b.cfg.Ask != nil {
		errs = append(errs, b.enforce(ctx))
	}
	return errors.Join(errs...)
}

// record writes a change to the journal, or where there is none keeps it.
func (b *Book) record(c Change) error {
	c.At = time.Now().UTC().Round(0)
	if c.By == "" {
		c.By = core.ServicePrincipal().String()
	}
	b.cfg.Log.Info("rights", "what", c.What, "user", c.Place.Name, "group", c.Place.Group, "why", c.Why)
	if b.cfg.Record == nil {
		return b.change(func(k *kept) { k.Untold = append(k.Untold, c) })
	}
	if err := b.cfg.Record(c); err != nil {
		return err
	}
	if b.cfg.Tell != nil {
		b.cfg.Tell(c)
	}
	return nil
}

// tellLate writes into the journal what was changed without a service.
func (b *Book) tellLate() error {
	if b.cfg.Record == nil {
		return nil
	}
	b.mu.Lock()
	untold := slices.Clone(b.kept.Untold)
	b.mu.Unlock()
	if len(untold) == 0 {
		return nil
	}
	for _, c := range untold {
		if err := b.cfg.Record(c); err != nil {
			return err
		}
	}
	return b.change(func(k *kept) { k.Untold = k.Untold[len(untold):] })
}

// once reports whether a place is in another state than it was said to be.
func (b *Book) once(p Place, state string) bool {
	if b.said[p] == state {
		return false
	}
	b.said[p] = state
	return true
}

// Kept is what was taken, given and spared.
type Kept struct {
	Taken  []Taken
	Given  []Given
	Spared []Spared
}

// List returns a user's places, or everybody's if user is empty.
func (b *Book) List(user core.UserID) Kept {
	b.mu.Lock()
	defer b.mu.Unlock()
	not := func(u core.UserID) bool { return user != "" && u != user }
	return Kept{
		slices.DeleteFunc(slices.Clone(b.kept.Taken), func(t Taken) bool { return not(t.User) }),
		slices.DeleteFunc(slices.Clone(b.kept.Given), func(g Given) bool { return not(g.User) || g.Over != "" }),
		slices.DeleteFunc(slices.Clone(b.kept.Spared), func(s Spared) bool { return not(s.User) }),
	}
}
