package request

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"kpm/core"
)

func TestTheStoreIsBounded(t *testing.T) {
	s := NewStore(Limits{MaxOpen: 3, MaxOpenPerUser: 2}, nil, (&log{}).record)
	reserve := func(user core.UserID) func() {
		t.Helper()
		slot, err := s.Reserve(t.Context(), user)
		if err != nil {
			t.Fatal(err)
		}
		return slot.Release
	}
	gone, leave := context.WithCancel(t.Context())
	leave()
	full := func(user core.UserID) {
		t.Helper()
		if _, err := s.Reserve(gone, user); !errors.Is(err, ErrTooMany) {
			t.Errorf("one more for %s: %v", user, err)
		}
	}
	first := reserve("1000")
	reserve("1000")
	full("1000")
	other := reserve("2000")
	full("3000")
	other()
	reserve("3000")
	first()
	reserve("1000")
	full("1000")
}

func TestTheStoreRemembersHowRequestsEnded(t *testing.T) {
	s := NewStore(defaultLimits(), nil, (&log{}).record)
	if _, err := s.Get("never"); !errors.Is(err, ErrUnknown) {
		t.Errorf("a request that never was: %v", err)
	}
	first := s.Open("first")
	if got, err := s.Get("first"); err != nil || got != first || len(s.All()) != 1 {
		t.Errorf("an open request: %v, %v", got, err)
	}
	end := func(r *Request) {
		if err := r.Apply(Fact{Cause: Fault, By: service}); err != nil {
			t.Fatal(err)
		}
	}
	end(first)
	if _, err := s.Get("first"); !errors.Is(err, ErrConflict) {
		t.Errorf("a finished request: %v", err)
	}
	if got, ok := s.State("first"); !ok || got != Failed {
		t.Errorf("its state: %s, %v", got, ok)
	}
	for i := range remembered {
		end(s.Open(core.RequestID(fmt.Sprint(i))))
	}
	if _, err := s.Get("first"); !errors.Is(err, ErrUnknown) {
		t.Errorf("after %d more: %v", remembered, err)
	}
	if len(s.finals) != remembered || len(s.open) != 0 {
		t.Errorf("%d remembered, %d open", len(s.finals), len(s.open))
	}
}

// Times can change while requests are open: those keep theirs.
func TestTimesOfLaterRequests(t *testing.T) {
	var l log
	s := NewStore(Limits{Evaluate: time.Second, MaxOpen: 7, MaxOpenPerUser: 3}, nil, l.record)
	early := s.Open("early")
	s.SetTimes(2*time.Second, 3*time.Second, 4*time.Second)
	if want := (Limits{2 * time.Second, 3 * time.Second, 4 * time.Second, 7, 3, 0, 0}); s.Limits() != want || s.Open("late").limits != want {
		t.Errorf("limits are %+v", s.Limits())
	}
	if early.limits.Evaluate != time.Second {
		t.Errorf("an open request has now %v", early.limits.Evaluate)
	}
}
