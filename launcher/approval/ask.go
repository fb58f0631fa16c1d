package approval

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"kpm/core"
)

// Ask returns the approval that is there for w, or puts it before the approvers. It is
// approved at once while the schedules of all policies that want it say so. Errors wrap
// ErrTooMany.
func (b *Book) Ask(w Want, justification string) (Record, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := read(b.clock)
	given, automatic := w.scheduled(now)
	if e := b.match(&w, now); e != nil {
		if automatic && e.State.Open() {
			if err := b.change(e, Schedule, Service, now, given); err != nil {
				return Record{}, err
			}
		}
		return e.clone(), nil
	}
	w.Rules = withoutSchedules(w.Rules)
	drop, err := b.room(w.User)
	if err != nil {
		return Record{}, fmt.Errorf("approval: ask: %w", err)
	}
	l := b.limits
	r := Record{
		ID: b.newID(), State: Pending, Want: w, Justification: justification[:min(len(justification), maxReason)],
		Created: now.wall, Modified: now.wall, Usable: min(l.Usable, l.Expiration),
		Until: now.after(min(l.Pending, l.Expiration)), Longest: now.after(l.Expiration), Last: now.after(l.Expiration + l.Usable),
	}
	if slices.ContainsFunc(w.Rules, core.ApprovalRule.Escalates) && l.Pending < l.Expiration {
		escalates := r.Until
		r.Escalates, r.Until = &escalates, now.after(min(l.Pending+l.Escalated, l.Expiration))
	}
	if t, ok := next(r.State, Schedule); automatic && ok && t.By == Service {
		r.State = t.To
		given(&r)
	}
	if err := b.store.put(&r, drop...); err != nil {
		return Record{}, fmt.Errorf("approval: ask: %w", err)
	}
	for _, id := range drop {
		delete(b.records, id)
	}
	b.records[r.ID] = &entry{Record: r, changed: make(chan struct{})}
	b.told(r.clone())
	select {
	case b.wake <- struct{}{}:
	default:
	}
	return r.clone(), nil
}

// room makes room for one more of a user's, and returns the final records that go
// for it. Attack: one user fills the list, and nobody else can ask, or nobody finds
// anything in it (decision 32c). mu is held.
func (b *Book) room(user core.UserID) (drop []string, err error) {
	who := b.people.Of(user)
	mine, all := 0, 0
	var finals []*entry
	for _, e := range b.records {
		own := b.people.Of(e.Want.User) == who
		switch {
		case e.State.Final() && own:
			finals = append(finals, e)
		case !e.State.Final():
			all++
			if own {
				mine++
			}
		}
	}
	switch {
	case mine >= b.limits.MaxPerUser:
		return nil, fmt.Errorf("you have %d that wait or may be used, the most that one user may have: %w", mine, ErrTooMany)
	case all >= b.limits.Max && !b.people.First(who):
		return nil, fmt.Errorf("all users together have %d, the most that there may be: %w", all, ErrTooMany)
	case b.rate.Take(who, 1) > 0:
		return nil, fmt.Errorf("you have asked too often, try again in a minute: %w", ErrTooMany)
	}
	slices.SortFunc(finals, func(x, y *entry) int { return cmp.Or(x.Modified.Compare(y.Modified), cmp.Compare(x.ID, y.ID)) })
	for len(finals) >= keepPerUser {
		drop, finals = append(drop, finals[0].ID), finals[1:]
	}
	return drop, nil
}

// Use uses up the approval that is there for w, for a request: once, whatever
// becomes of the request. It is the only way from approved to used. The error wraps
// ErrNone if there is none, or if it is not approved.
func (b *Book) Use(w *Want, request core.RequestID) (Record, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := read(b.clock)
	e := b.match(w, now)
	if e == nil || e.State != Approved {
		return Record{}, fmt.Errorf("approval: use: %w", ErrNone)
	}
	if err := b.change(e, Launch, Service, now, func(r *Record) { r.Request = request }); err != nil {
		return Record{}, err
	}
	return e.clone(), nil
}

// UseFile uses up an approval of access to a file, which is given by that. Errors wrap
// ErrUnknown, also for an approval of anything else, or ErrConflict.
func (b *Book) UseFile(id string) (Record, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	e, err := b.find(id)
	switch {
	case err != nil:
	case e.Want.Kind != FileAccess:
		err = ErrUnknown
	case e.State != Approved:
		err = fmt.Errorf("it is %s: %w", e.State, ErrConflict)
	default:
		err = b.change(e, Launch, Service, read(b.clock), nil)
	}
	if err != nil {
		return Record{}, fmt.Errorf("approval: use %s: %w", ID(id), err)
	}
	return e.clone(), nil
}

// Withdraw takes back what its requester does not want any more. Errors wrap
// ErrUnknown, also for somebody else's, or ErrConflict.
func (b *Book) Withdraw(id string, user core.UserID) (Record, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	e, err := b.find(id)
	if err == nil && e.Want.User != user {
		err = fmt.Errorf("approval: withdraw: %w", ErrUnknown)
	}
	if err == nil {
		err = b.change(e, Withdraw, Requester, read(b.clock), nil)
	}
	if err != nil {
		return Record{}, err
	}
	return e.clone(), nil
}

// Wait returns the approval once it does not wait for approvers any more, or ctx's
// error.
func (b *Book) Wait(ctx context.Context, id string) (Record, error) {
	for {
		b.mu.Lock()
		e, err := b.find(id)
		if err != nil {
			b.mu.Unlock()
			return Record{}, err
		}
		r, changed := e.clone(), e.changed
		b.mu.Unlock()
		if !r.State.Open() {
			return r, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return r, ctx.Err()
		}
	}
}
