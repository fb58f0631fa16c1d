package approval

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"kpm/core"
	"kpm/core/fair"
)

// Errors of what changes nothing.
var (
	ErrUnknown      = core.NewError(core.NotFound, "there is no such approval")
	ErrConflict     = core.NewError(core.Conflict, "the approval is not in a state for this")
	ErrNotPermitted = core.NewError(core.NotPermitted, "you are no approver of this")
	ErrOwn          = core.NewError(core.NotPermitted, "nobody approves a request of their own: another approver has to")
	ErrTooMany      = core.NewError(core.TooMany, "too many approvals are waiting")
	ErrNone         = core.NewError(core.Conflict, "no approval is there for this request")
)

// Limits bound approvals in time and number (docs/settings.md, "Approvals").
type Limits struct {
	Pending   time.Duration // until it is escalated, or expires if there is nobody to
	Escalated time.Duration // from then on
	// Expiration is how long it may wait in any case, extended or not. The shorter
	// of this and the others wins.
	Expiration time.Duration
	Usable     time.Duration // once it is approved
	MaxPerUser int           // that wait or may be used
	Max        int           // the same, of all users
}

const (
	keepPerUser = 64 // final records of one user
	// askEvery and askBurst bound how often one user may ask: each record is one
	// write to the disk.
	askEvery = 10 * time.Second
	askBurst = 16
)

// entry is a record and who waits for it.
type entry struct {
	Record
	changed chan struct{} // closed when the record is another one
	warned  Deadline      // that its requester was told of
}

// Book holds the approvals. Its methods may be called concurrently.
type Book struct {
	limits Limits
	clock  Clock
	store  *store
	people fair.People
	known  Known
	log    *slog.Logger
	rate   *fair.Rate[core.UserID]
	wake   chan struct{} // a deadline may come sooner than Serve thinks

	mu      sync.Mutex
	records map[string]*entry
	told    func(Record) // called with mu held, in the order of changes
}

// Open reads the approvals at path, which is made when one is first asked for. told hears of
// every change after it is durable, in their order; it must not block or call back.
// Without known, everybody is taken to be known.
func Open(path string, limits Limits, clock Clock, people fair.People, known Known, told func(Record), log *slog.Logger) (*Book, error) {
	s, list, err := openStore(path, clock.Now(), log)
	if err != nil {
		return nil, fmt.Errorf("approval: open %s: %w", path, err)
	}
	b := &Book{
		limits: limits, clock: clock, store: s, people: people, known: known, told: told, log: log, records: map[string]*entry{},
		rate: fair.NewRate[core.UserID](1/askEvery.Seconds(), askBurst), wake: make(chan struct{}, 1),
	}
	for _, r := range list {
		b.records[r.ID] = &entry{Record: r, changed: make(chan struct{})}
	}
	return b, nil
}

// Close closes the file. Nothing may be asked or decided any more.
func (b *Book) Close(context.Context) error { return b.store.close() }

// ID returns an id as it is written: people type them in any case, and without the
// hyphen.
func ID(text string) string {
	text = strings.ToUpper(strings.ReplaceAll(strings.TrimSpace(text), "-", ""))
	if len(text) != idLetters {
		return text
	}
	return text[:idLetters/2] + "-" + text[idLetters/2:]
}

const idLetters = 8 // of rand.Text, 40 bits: a name, and no secret

// newID returns an id that no record has.
func (b *Book) newID() string {
	for {
		if id := ID(rand.Text()[:idLetters]); b.records[id] == nil {
			return id
		}
	}
}

// Get returns one approval.
func (b *Book) Get(id string) (Record, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	e, err := b.find(id)
	if err != nil {
		return Record{}, err
	}
	return e.clone(), nil
}

// List returns all approvals, the latest first.
func (b *Book) List() []Record {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := read(b.clock)
	list := make([]Record, 0, len(b.records))
	for _, e := range b.records {
		b.settle(e, now)
		list = append(list, e.clone())
	}
	slices.SortFunc(list, func(x, y Record) int {
		return cmp.Or(y.Created.Compare(x.Created), strings.Compare(x.ID, y.ID))
	})
	return list
}

// For returns the approval that is there for w: one that may be used if there is
// one, else one that waits.
func (b *Book) For(w *Want) (Record, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	e := b.match(w, read(b.clock))
	if e == nil {
		return Record{}, false
	}
	return e.clone(), true
}

// match finds what For returns. mu is held.
func (b *Book) match(w *Want, now instant) (found *entry) {
	for _, e := range b.records {
		b.settle(e, now)
		switch {
		case e.State.Final() || !e.Want.same(w):
		case found == nil, e.State == Approved && found.State != Approved:
			found = e
		case e.State == found.State && e.ID < found.ID: // there is one; be sure which
			found = e
		}
	}
	return found
}

// find returns the entry of an id, as its deadlines have left it. mu is held.
func (b *Book) find(id string) (*entry, error) {
	e := b.records[ID(id)]
	if e == nil {
		return nil, fmt.Errorf("approval: %s: %w", ID(id), ErrUnknown)
	}
	b.settle(e, read(b.clock))
	return e, nil
}

// change applies a cause to e: to a copy, which takes its place when it is on the
// disk. edit, if not nil, is what else changes. mu is held.
func (b *Book) change(e *entry, cause Cause, by Actor, now instant, edit func(*Record), drop ...string) error {
	t, ok := next(e.State, cause)
	if !ok || t.By != by {
		return fmt.Errorf("approval: %s %s: it is %s: %w", cause, e.ID, e.State, ErrConflict)
	}
	r := e.clone()
	r.State, r.Modified = t.To, now.wall
	if edit != nil {
		edit(&r)
	}
	if err := b.store.put(&r, drop...); err != nil {
		return fmt.Errorf("approval: %s %s: %w", cause, e.ID, err)
	}
	e.Record = r
	close(e.changed)
	e.changed = make(chan struct{})
	b.told(r.clone())
	select {
	case b.wake <- struct{}{}:
	default:
	}
	return nil
}

// settle applies the deadlines of e that have come. What cannot be written has
// happened all the same: a disk that is full keeps no approval alive. mu is held.
func (b *Book) settle(e *entry, now instant) {
	if e.State == Pending && e.Escalates != nil && e.Escalates.left(now) <= 0 && e.Until.left(now) > 0 {
		if err := b.change(e, Escalate, Service, now, func(r *Record) { r.Escalates = nil }); err != nil {
			b.log.Error("an approval cannot be escalated", "approval", e.ID, "error", err)
			e.State, e.Escalates = Escalated, nil
		}
	}
	if e.State.Final() || e.Until.left(now) > 0 && e.Last.left(now) > 0 {
		return
	}
	if err := b.change(e, Lapse, Service, now, nil); err != nil {
		b.log.Error("that an approval has expired cannot be written", "approval", e.ID, "error", err)
		e.State = Expired
	}
}
