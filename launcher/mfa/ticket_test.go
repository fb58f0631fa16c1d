package mfa

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"kpm/core"
)

var herself = core.Principal{Kind: core.User, User: anna.User}

func TestATicketEnrolsItsPersonOnce(t *testing.T) {
	w := newWorld(t)
	given, err := w.Ticket(admin, anna, false)
	if err != nil {
		t.Fatal(err)
	}
	// Attack: somebody else has seen it, or guesses.
	ben := core.Account{User: "1001", Name: "ben"}
	for _, tc := range []struct {
		person core.Account
		text   string
	}{{ben, given.Ticket}, {anna, ""}, {anna, "aaaa-bbbb-cccc-dddd"}, {anna, "123456"}} {
		if _, err := w.Redeem(t.Context(), herself, tc.person, tc.text); !errors.Is(err, ErrTicket) {
			t.Errorf("%s with %q: %v", tc.person.Name, tc.text, err)
		}
	}
	enrolled, err := w.Redeem(t.Context(), herself, anna, strings.ToUpper(given.Ticket))
	if err != nil || enrolled.User != "anna" || enrolled.Secret == "" {
		t.Fatalf("%+v, %v", enrolled, err)
	}
	if _, err := w.Redeem(t.Context(), herself, anna, given.Ticket); !errors.Is(err, ErrTicket) {
		t.Errorf("twice: %v", err)
	}
	if got := w.causes(); got != "ticket enrolled" {
		t.Error(got)
	}
	if r := w.records[1]; r.By != herself.String() || strings.Contains(r.Message, given.Ticket) {
		t.Errorf("%+v", r)
	}
}

func TestATicketEndsNothingUnlessItMay(t *testing.T) {
	w := newWorld(t)
	early, err := w.Ticket(admin, anna, false)
	if err != nil {
		t.Fatal(err)
	}
	first := w.enroll(t)
	if _, err := w.Ticket(admin, anna, false); !errors.Is(err, ErrEnrolled) {
		t.Error(err)
	}
	if _, err := w.Redeem(t.Context(), herself, anna, early.Ticket); !errors.Is(err, ErrEnrolled) {
		t.Errorf("she was enrolled meanwhile: %v", err)
	}
	late, err := w.Ticket(admin, anna, true)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Redeem(t.Context(), herself, anna, early.Ticket); !errors.Is(err, ErrTicket) {
		t.Errorf("another one takes its place: %v", err)
	}
	if second, err := w.Redeem(t.Context(), herself, anna, late.Ticket); err != nil || second.Secret == first.Secret {
		t.Error(err)
	}
}

func TestATicketLastsAnHour(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		given, err := w.Ticket(admin, anna, false)
		if err != nil || !given.Until.Equal(time.Now().Add(time.Hour)) {
			t.Fatalf("%+v, %v", given, err)
		}
		time.Sleep(time.Hour)
		if _, err := w.Redeem(t.Context(), herself, anna, given.Ticket); !errors.Is(err, ErrTicket) {
			t.Error(err)
		}
	})
}

// A machine key that is away uses nothing up.
func TestATicketThatFailsIsNotUsedUp(t *testing.T) {
	w := newWorld(t)
	given, err := w.Ticket(admin, anna, false)
	if err != nil {
		t.Fatal(err)
	}
	*w.cfg.Sealer.(key).fails = errors.New("no TPM")
	if _, err := w.Redeem(t.Context(), herself, anna, given.Ticket); core.KindOf(err) != core.Unavailable {
		t.Error(err)
	}
	*w.cfg.Sealer.(key).fails = nil
	if _, err := w.Redeem(t.Context(), herself, anna, given.Ticket); err != nil {
		t.Error(err)
	}
}

func TestTicketsAreBounded(t *testing.T) {
	w := newWorld(t)
	for i := range maxTickets {
		w.tickets.left[core.UserID(rune('a'+i))] = ticket{at: time.Now()}
	}
	if _, err := w.Ticket(admin, anna, false); !errors.Is(err, ErrTooManyTickets) {
		t.Error(err)
	}
}
