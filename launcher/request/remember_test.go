package request

import (
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"kpm/core"
)

var both = []core.Control{core.ControlJustify, core.ControlMFA}

// decided is a request of which policy asks for both controls, and grants stand for
// some.
func decided(t *testing.T, l *log, granted ...core.Control) *Request {
	t.Helper()
	_, r := open(l)
	reach(t, r, Evaluating)
	l.records = nil
	if err := r.Apply(Fact{Cause: Pend, By: policy, Controls: both, Granted: granted}); err != nil {
		t.Fatal(err)
	}
	return r
}

func TestWhatGrantsStandFor(t *testing.T) {
	for _, tc := range []struct {
		name    string
		granted []core.Control
		state   State
		records []string
		missing []core.Control
	}{
		{"nothing", nil, Pending, []string{"pending"}, both},
		{"one of two", both[:1], Pending, []string{"pending"}, both[1:]},
		{"everything", both, Allowed, []string{"pending", "allowed"}, nil},
		{"one of them twice", []core.Control{core.ControlMFA, core.ControlMFA}, Pending, []string{"pending"}, both[:1]},
		{"what was not asked for", []core.Control{core.ControlApproval, core.ControlAllow}, Pending, []string{"pending"}, both},
	} {
		l := &log{}
		r := decided(t, l, tc.granted...)
		if state(r) != tc.state || !slices.Equal(l.records, tc.records) || !slices.Equal(r.Missing(), tc.missing) {
			t.Errorf("%s: %s, %q, %q is missing", tc.name, state(r), l.records, r.Missing())
		}
		r.Apply(Fact{Cause: Fault, By: service})
	}
}

// No grant stands for a decision: what policy denies or has not answered stays so.
func TestGrantsDecideNothing(t *testing.T) {
	for _, f := range []Fact{
		{Cause: Deny, By: policy, Granted: both},
		{Cause: NoAnswer, By: service, Granted: both},
		{Cause: Pend, By: service, Controls: both, Granted: both},
		{Cause: Pend, By: policy, Granted: both},
		{Cause: Remembered, By: service, Controls: both, Granted: both},
	} {
		_, r := open(&log{})
		reach(t, r, Evaluating)
		if err := r.Apply(f); state(r) == Allowed || state(r) == Pending {
			t.Errorf("%+v: %v, now %s", f, err, state(r))
		}
		r.Apply(Fact{Cause: Fault, By: service})
	}
	r := decided(t, &log{})
	for _, by := range []core.Principal{service, policy, job} {
		if err := r.Apply(Fact{Cause: Remembered, By: by}); !errors.Is(err, ErrConflict) || state(r) != Pending {
			t.Errorf("by %s, later: %v, now %s", by, err, state(r))
		}
	}
	r.Apply(Fact{Cause: Fault, By: service})
}

func TestGrantsThatCannotBeRecordedStandForNothing(t *testing.T) {
	l := &log{}
	disk := errors.New("disk full")
	s := NewStore(defaultLimits(), nil, func(id core.RequestID, record string, f Fact) error {
		if record == "allowed" {
			return disk
		}
		return l.record(id, record, f)
	})
	r := s.Open(id)
	reach(t, r, Evaluating)
	if err := r.Apply(Fact{Cause: Pend, By: policy, Controls: both, Granted: both}); !errors.Is(err, disk) || state(r) != Failed {
		t.Errorf("%v, now %s", err, state(r))
	}
}

// A deadline is put off from when the state was entered, and never brought forward.
func TestExtend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, r := open(&log{})
		reach(t, r, Evaluating)
		time.Sleep(3 * time.Second)
		r.Extend(Pending, time.Hour)
		r.Extend(Evaluating, time.Second)
		r.Extend(Evaluating, 35*time.Second)
		r.Extend(Evaluating, 35*time.Second)
		time.Sleep(32*time.Second - 1)
		synctest.Wait()
		if state(r) != Evaluating {
			t.Fatalf("it is %s too early", state(r))
		}
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		if state(r) != Denied {
			t.Errorf("it is %s", state(r))
		}
		r.Extend(Denied, time.Hour)
	})
}
