package mfa

import (
	"context"
	"sync"
	"time"

	"kpm/core"
	"kpm/core/view"
)

// TicketLasts is for how long a person may use a ticket.
const TicketLasts = time.Hour

// maxTickets bounds those that wait for their persons.
const maxTickets = 1024

// Errors of tickets. Which of its reasons holds, ErrTicket does not say.
var (
	ErrTicket         = core.NewError(core.NotPermitted, "this ticket is not yours, was used, or is older than an hour; ask an administrator for another: KeeperAdminCLI mfa ticket")
	ErrTooManyTickets = core.NewError(core.TooMany, "too many tickets have not been used yet: try again in an hour")
)

// tickets let people enrol themselves, once each. They are lost with the service.
//
// Attack: whoever sits at somebody's unlocked screen gives them a factor of their
// own choice. What an administrator has handed to the person is needed for it
// (decision 28a).
type tickets struct {
	mu   sync.Mutex
	left map[core.UserID]ticket // the last one of each person
}

type ticket struct {
	digest  string
	at      time.Time
	replace bool
}

func (t ticket) fresh() bool {
	now := time.Now()
	return now.Sub(t.at) < TicketLasts && now.Round(0).Sub(t.at.Round(0)) < TicketLasts // as Memory has it
}

// Ticket gives out a ticket with which a person can enrol themself, in place of any
// that they have not used. ErrEnrolled if they are enrolled and replace is false.
func (f *Factors) Ticket(by core.Principal, person core.Account, replace bool) (view.Ticket, error) {
	none := view.Ticket{}
	if err := f.unusable(); err != nil {
		return none, err
	}
	if _, err := f.store.get(person.User); err == nil && !replace {
		return none, ErrEnrolled
	}
	if err := f.journalled(record{UserID: person.User, User: person.Name}, "ticket", by, "", ""); err != nil {
		return none, err
	}
	shown, plain := newCode()
	t := &f.tickets
	t.mu.Lock()
	defer t.mu.Unlock()
	for user, one := range t.left {
		if !one.fresh() {
			delete(t.left, user)
		}
	}
	if _, has := t.left[person.User]; !has && len(t.left) >= maxTickets {
		return none, ErrTooManyTickets
	}
	t.left[person.User] = ticket{digest: string(digest(person.User, plain)), at: time.Now(), replace: replace}
	return view.Ticket{User: person.Name, UserID: string(person.User), Ticket: shown, Until: time.Now().Add(TicketLasts).UTC()}, nil
}

// Redeem enrols the person who asks, if the ticket is theirs, and uses it up.
func (f *Factors) Redeem(ctx context.Context, by core.Principal, person core.Account, text string) (view.Enrollment, error) {
	one, ok := f.tickets.take(person.User, parse(text).recovery)
	if !ok {
		return view.Enrollment{}, ErrTicket
	}
	enrolled, err := f.Enroll(ctx, by, person, one.replace)
	if err != nil {
		f.tickets.giveBack(person.User, one) // nobody was enrolled by it
	}
	return enrolled, err
}

func (t *tickets) take(user core.UserID, plain string) (ticket, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	one, has := t.left[user]
	// A digest of 80 random bits is compared: how long it takes says nothing of them.
	if !has || !one.fresh() || one.digest != string(digest(user, plain)) {
		return ticket{}, false
	}
	delete(t.left, user)
	return one, true
}

// giveBack undoes take, unless the person was given another one meanwhile.
func (t *tickets) giveBack(user core.UserID, one ticket) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, has := t.left[user]; !has {
		t.left[user] = one
	}
}
