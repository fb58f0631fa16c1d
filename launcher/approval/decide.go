package approval

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"kpm/core"
	"kpm/core/wire"
)

// leastExtension and mostExtension bound what Extend and Approve take.
const (
	leastExtension = time.Minute
	mostExtension  = 366 * 24 * time.Hour
)

// ErrInvalid is wrapped where what an approver says cannot be taken.
var ErrInvalid = core.NewError(core.Invalid, "not a decision")

// Approve is p's yes, with a comment if there is one. If every policy that asked has
// as many approvers as it needs by it, the request may run once within usable, or
// within what the limits allow if that is shorter or usable is 0.
//
// Errors wrap ErrUnknown, also for whoever may not know of it, ErrOwn,
// ErrNotPermitted, ErrConflict or ErrInvalid; then nothing has changed.
func (b *Book) Approve(id string, p Person, comment string, usable time.Duration) (Record, error) {
	if usable != 0 && (usable < leastExtension || usable > mostExtension) {
		return Record{}, fmt.Errorf("approval: approve for %s, expected at least %s: %w", usable, leastExtension, ErrInvalid)
	}
	return b.decide(id, p, Approve, comment, func(e *entry, now instant, said Decision) error {
		if slices.ContainsFunc(e.Decisions, func(d Decision) bool { return d.By == p.User && (d.Cause == Agree || d.Cause == Approve) }) {
			return fmt.Errorf("approval: approve %s: you have approved it already: %w", e.ID, ErrConflict)
		}
		after := e.clone()
		after.Decisions = append(after.Decisions, said)
		if usable != 0 {
			after.Usable = min(after.Usable, usable)
		}
		if !after.met() {
			after.Decisions[len(after.Decisions)-1].Cause = Agree
			return b.change(e, Agree, Approver, now, func(r *Record) { r.Decisions, r.Usable = after.Decisions, after.Usable })
		}
		return b.change(e, Approve, Approver, now, func(r *Record) {
			r.Decisions, r.Usable, r.Escalates = after.Decisions, after.Usable, nil
			r.Until = earlier(now, now.after(after.Usable), r.Last)
		})
	})
}

// Deny is p's no. One is enough. Errors are those of Approve.
func (b *Book) Deny(id string, p Person, comment string) (Record, error) {
	return b.decide(id, p, Deny, comment, func(e *entry, now instant, said Decision) error {
		return b.change(e, Deny, Approver, now, func(r *Record) { r.Decisions = append(r.Decisions, said) })
	})
}

// Extend has the approval wait, or be usable, for d from now on, within the limits.
// It never shortens. Errors are those of Approve.
func (b *Book) Extend(id string, p Person, comment string, d time.Duration) (Record, error) {
	if d < leastExtension || d > mostExtension {
		return Record{}, fmt.Errorf("approval: extend by %s, expected at least %s: an approval without an end there is not: %w", d, leastExtension, ErrInvalid)
	}
	return b.decide(id, p, Extend, comment, func(e *entry, now instant, said Decision) error {
		until := now.after(min(d, b.limits.Usable))
		if e.State.Open() {
			until = earlier(now, now.after(d), e.Longest)
		}
		until = earlier(now, until, e.Last)
		if until.left(now) <= e.Until.left(now) {
			return fmt.Errorf("approval: extend %s: it may wait or be used for that long already, or for no longer: %w", e.ID, ErrConflict)
		}
		return b.change(e, Extend, Approver, now, func(r *Record) { r.Until, r.Decisions = until, append(r.Decisions, said) })
	})
}

// decide checks who p is to the approval before anything else is said about it.
func (b *Book) decide(id string, p Person, cause Cause, comment string, apply func(*entry, instant, Decision) error) (Record, error) {
	if len(comment) > maxComment || !utf8.ValidString(comment) {
		return Record{}, fmt.Errorf("approval: the comment has %d bytes, expected at most %d of UTF-8: %w", len(comment), maxComment, ErrInvalid)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	e, err := b.find(id)
	if err != nil {
		return Record{}, err
	}
	rules := p.counts(&e.Record)
	switch {
	case p.isRequester(&e.Want):
		return Record{}, fmt.Errorf("approval: %s %s: %w", cause, e.ID, ErrOwn)
	case len(rules) == 0: // what it is about is none of theirs, nor that it is there
		return Record{}, fmt.Errorf("approval: %s: %w", ID(id), ErrUnknown)
	}
	now := read(b.clock)
	said := Decision{By: p.User, Name: p.Name, Cause: cause, Comment: wire.Printable(strings.TrimSpace(comment)), At: now.wall, Rules: rules}
	if err := apply(e, now, said); err != nil {
		return Record{}, err
	}
	return e.clone(), nil
}

// MayDecide reports whether p is an approver of r, as it stands.
func MayDecide(r *Record, p Person) bool { return !p.isRequester(&r.Want) && len(p.counts(r)) > 0 }
