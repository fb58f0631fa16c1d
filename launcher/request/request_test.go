package request

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"kpm/core"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const id = core.RequestID("R1")

var (
	service = core.ServicePrincipal()
	policy  = core.Principal{Kind: core.Plugin, Name: "KeeperPolicy"}
	job     = core.Principal{Kind: core.JobRun, Name: "job", Run: "1", Request: id}
)

// log is a Recorder that remembers, and fails while broken.
type log struct {
	records []string
	broken  error
}

func (l *log) record(_ core.RequestID, record string, _ Fact) error {
	if l.broken == nil {
		l.records = append(l.records, record)
	}
	return l.broken
}

func open(l *log) (*Store, *Request) {
	s := NewStore(defaultLimits(), nil, l.record)
	return s, s.Open(id)
}

func state(r *Request) State {
	s, _, _ := r.View()
	return s
}

// actor returns a principal that may cause a row.
func actor(a Actor) core.Principal {
	return map[Actor]core.Principal{Service: service, Policy: policy, Job: job}[a]
}

// fact is the fact of a row, complete.
func fact(cause Cause, by core.Principal) Fact {
	f := Fact{Cause: cause, By: by}
	if cause == Pend || cause == Satisfied {
		f.Controls = []core.Control{core.ControlJustify}
	}
	return f
}

// do applies a fact the way the launcher does.
func do(r *Request, f Fact) error {
	if f.Cause == Satisfied {
		return r.Satisfy(f)
	}
	return r.Apply(f)
}

// reach brings a new request to a state by the shortest way.
func reach(t *testing.T, r *Request, to State) {
	t.Helper()
	way := map[State][]Cause{
		Opened: nil, Evaluating: {Asked}, Pending: {Asked, Pend}, Allowed: {Asked, Allow},
		Launching: {Asked, Allow, Launch}, Running: {Asked, Allow, Launch, Held},
		Ended: {Asked, Allow, Launch, Held, Exited}, Denied: {Asked, Deny}, Expired: {Asked, Pend, Timeout}, Failed: {Fault},
	}[to]
	for _, cause := range way {
		tr, _ := find(state(r), cause)
		if err := do(r, fact(cause, actor(tr.By))); err != nil {
			t.Fatal(err)
		}
	}
	if state(r) != to {
		t.Fatalf("reached %s, wanted %s", state(r), to)
	}
}

// Every state meets every cause from everybody: what the table has happens,
// what it has not is refused and changes nothing.
// Remembered is no fact of its own: remember_test.go has it.
func TestOnlyTheTableMovesARequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		somebody := map[string]core.Principal{
			"service": service, "KeeperPolicy": policy, "the request's job": job,
			"nobody":                         {},
			"root":                           {Kind: core.Admin, User: "0"},
			"a user":                         {Kind: core.User, User: "1000"},
			"another plugin":                 {Kind: core.Plugin, Name: "KeeperLogger"},
			"KeeperPolicy as a user":         {Kind: core.Plugin, Name: "KeeperPolicy", InUserSession: true},
			"a job called KeeperPolicy":      {Kind: core.JobRun, Name: "KeeperPolicy", Request: "R2"},
			"another request's job":          {Kind: core.JobRun, Name: "job", Request: "R2"},
			"a job for no request":           {Kind: core.JobRun, Name: "job"},
			"the request's job, as the user": {Kind: core.JobRun, Name: "job", Request: id, InUserSession: true},
		}
		states := []State{Opened, Evaluating, Pending, Allowed, Launching, Running, Ended, Denied, Expired, Failed}
		causes := []Cause{Asked, Substitute, Redirected, Allow, Pend, Deny, NoAnswer, Satisfied, Refused, Timeout, Launch, Held, Granted, Exited, CallerGone, Fault}
		for _, from := range states {
			for _, cause := range causes {
				for name, by := range somebody {
					l := &log{}
					s, r := open(l)
					if from == Evaluating && cause == Substitute {
						r = s.OpenSubstitute(id)
					}
					reach(t, r, from)
					_, _, changed := r.View()
					before := len(l.records)
					tr, exists := find(from, cause)
					err := do(r, fact(cause, by))
					switch {
					case exists && by == actor(tr.By):
						if err != nil || state(r) != tr.To {
							t.Errorf("%s, %s by %s: %v, now %s", from, cause, name, err, state(r))
						}
						if l.records[len(l.records)-1] != tr.Record {
							t.Errorf("%s, %s: recorded %v, expected %s", from, cause, l.records[before:], tr.Record)
						}
						<-changed
					default:
						expected := ErrConflict
						if exists {
							expected = ErrNotPermitted
						}
						if !errors.Is(err, expected) || state(r) != from || len(l.records) != before {
							t.Errorf("%s, %s by %s: %v, now %s, recorded %v", from, cause, name, err, state(r), l.records[before:])
						}
					}
					// Let deadlines pass, so that no timer outlives the case.
					if s := state(r); !s.Final() && s != Opened && s != Running {
						time.Sleep(time.Hour)
						synctest.Wait()
					}
				}
			}
		}
	})
}

func TestDeadlines(t *testing.T) {
	limits := Limits{Evaluate: 2 * time.Second, Prompt: 30 * time.Second, Launch: 4 * time.Second}
	cases := []struct {
		in    State
		after time.Duration
		to    State
		cause Cause
	}{
		{Opened, 0, Opened, ""},
		{Evaluating, 2 * time.Second, Denied, NoAnswer},
		{Pending, 40 * time.Second, Expired, Timeout},
		{Allowed, 4 * time.Second, Failed, Fault},
		{Launching, 4 * time.Second, Failed, Fault},
		{Running, 0, Running, Held},
	}
	for _, c := range cases {
		t.Run(string(c.in), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := &log{}
				s := NewStore(limits, nil, l.record)
				r := s.Open(id)
				reach(t, r, c.in)
				if c.after > 0 {
					time.Sleep(c.after - time.Nanosecond)
					synctest.Wait()
					if state(r) != c.in {
						t.Fatalf("%s before its deadline", state(r))
					}
					time.Sleep(time.Nanosecond)
				} else {
					time.Sleep(1000 * time.Hour)
				}
				synctest.Wait()
				got, f, _ := r.View()
				if got != c.to || f.Cause != c.cause {
					t.Errorf("%s by %s, expected %s by %s", got, f.Cause, c.to, c.cause)
				}
				if known, ok := s.State(id); !ok || known != c.to {
					t.Errorf("the store says %s, %v", known, ok)
				}
			})
		})
	}
}

func TestEveryRequiredControlMustBeRecorded(t *testing.T) {
	l := &log{}
	_, r := open(l)
	if err := r.Apply(Fact{Cause: Asked, By: service}); err != nil {
		t.Fatal(err)
	}
	if err := r.Apply(Fact{Cause: Pend, By: policy}); !errors.Is(err, ErrConflict) {
		t.Errorf("PENDING without controls: %v", err)
	}
	both := []core.Control{core.ControlJustify, core.ControlMFA}
	if err := r.Apply(Fact{Cause: Pend, By: policy, Controls: both}); err != nil {
		t.Fatal(err)
	}
	satisfy := func(by core.Principal, controls ...core.Control) error {
		return r.Satisfy(Fact{By: by, Controls: controls})
	}
	if err := satisfy(policy, core.ControlJustify); !errors.Is(err, ErrNotPermitted) {
		t.Errorf("by KeeperPolicy: %v", err)
	}
	if err := satisfy(job, core.ControlApproval); !errors.Is(err, ErrConflict) {
		t.Errorf("a control that nobody asked for: %v", err)
	}
	if err := satisfy(job); err != nil || state(r) != Pending {
		t.Errorf("no control at all: %v, now %s", err, state(r))
	}
	for range 2 { // the same one twice is one
		if err := satisfy(job, core.ControlJustify); err != nil || state(r) != Pending {
			t.Errorf("the first: %v, now %s", err, state(r))
		}
	}
	if diff := cmp.Diff([]core.Control{core.ControlMFA}, r.Missing()); diff != "" {
		t.Error(diff)
	}
	if err := satisfy(job, core.ControlMFA); err != nil || state(r) != Allowed {
		t.Errorf("the last: %v, now %s", err, state(r))
	}
	expected := []string{"evaluating", "pending", "control", "control", "control", "control", "allowed"}
	if diff := cmp.Diff(expected, l.records); diff != "" {
		t.Error(diff)
	}
	if err := satisfy(job, core.ControlMFA); !errors.Is(err, ErrConflict) {
		t.Errorf("afterwards: %v", err)
	}
	r.Apply(Fact{Cause: Fault, By: service})
}

func TestWhatCannotBeRecordedDoesNotHappen(t *testing.T) {
	disk := errors.New("disk full")
	for _, tr := range transitions {
		if tr.Cause == Remembered {
			continue // in one step with a decision: see TestGrantsThatCannotBeRecordedStandForNothing
		}
		t.Run(fmt.Sprint(tr.From, " ", tr.Cause), func(t *testing.T) {
			l := &log{}
			s, r := open(l)
			if tr.Cause == Substitute {
				r = s.OpenSubstitute(id)
			}
			reach(t, r, tr.From)
			l.broken = disk
			err := do(r, fact(tr.Cause, actor(tr.By)))
			expected := tr.To
			if !expected.Final() {
				expected = Failed
			}
			if !errors.Is(err, disk) || state(r) != expected {
				t.Errorf("%v, now %s, expected %s", err, state(r), expected)
			}
			if _, err := s.Get(id); !errors.Is(err, ErrConflict) {
				t.Errorf("it is still open: %v", err)
			}
		})
	}
}

// Whatever happens, in whatever order, by whomever: nothing runs without an
// allow by KeeperPolicy or every control by the request's job, nothing leaves a
// final state, and exactly one is reached.
func TestNoSequenceOfFactsBreaksTheRules(t *testing.T) {
	causes := []Cause{Asked, Substitute, Allow, Pend, Deny, NoAnswer, Satisfied, Remembered, Refused, Timeout, Launch, Held, Granted, Exited, CallerGone, Fault}
	people := []core.Principal{service, policy, job, {}, {Kind: core.Admin, User: "0"},
		{Kind: core.JobRun, Name: "job", Request: "R2"}, {Kind: core.Plugin, Name: "KeeperPolicy", InUserSession: true}}
	controls := []core.Control{core.ControlJustify, core.ControlMFA, core.ControlApproval, core.ControlNotify}
	rapid.Check(t, func(t *rapid.T) {
		var finals int
		var records []string
		disk := error(nil)
		s := NewStore(defaultLimits(), nil, func(_ core.RequestID, record string, _ Fact) error {
			if disk == nil {
				records = append(records, record)
			}
			return disk
		})
		substitute := rapid.IntRange(0, 3).Draw(t, "substitute") == 0
		r := s.Open(id)
		if substitute {
			r = s.OpenSubstitute(id)
		}
		defer r.Apply(Fact{Cause: Fault, By: service})
		allowed, recorded, required := false, map[core.Control]bool{}, []core.Control(nil)
		for range rapid.IntRange(1, 30).Draw(t, "facts") {
			before := state(r)
			disk = nil
			if rapid.IntRange(0, 19).Draw(t, "disk") == 0 {
				disk = errors.New("disk full")
			}
			// Half of the facts are ones that the table has, or a sequence
			// would hardly ever get far.
			cause, by := rapid.SampledFrom(causes).Draw(t, "cause"), rapid.SampledFrom(people).Draw(t, "by")
			if rapid.Bool().Draw(t, "fits") {
				var rows []Transition
				for _, tr := range transitions {
					if tr.From == before {
						rows = append(rows, tr)
					}
				}
				if len(rows) > 0 {
					row := rapid.SampledFrom(rows).Draw(t, "row")
					cause, by = row.Cause, actor(row.By)
				}
			}
			f := Fact{Cause: cause, By: by, Controls: rapid.SliceOfNDistinct(rapid.SampledFrom(controls), 0, 3, rapid.ID).Draw(t, "controls")}
			err := do(r, f)
			after, last, _ := r.View()
			if before.Final() && after != before {
				t.Fatalf("%s became %s", before, after)
			}
			if err != nil && after != before && disk == nil {
				t.Fatalf("%s by %s was refused (%v) and moved %s to %s", cause, by, err, before, after)
			}
			if err == nil && before == Pending && cause == Satisfied {
				for _, c := range f.Controls {
					recorded[c] = true
				}
			}
			if before != after {
				if after.Final() {
					finals++
				}
				switch after {
				case Pending:
					required = f.Controls
				case Allowed:
					byPolicy := before == Evaluating && last.Cause == Allow && by == policy
					byControls := before == Pending && by == job &&
						!slices.ContainsFunc(required, func(c core.Control) bool { return !recorded[c] })
					if allowed = byPolicy || byControls; !allowed {
						t.Fatalf("allowed by %s of %s, required %v, recorded %v", cause, by, required, recorded)
					}
				case Launching, Running, Ended:
					if allowed = allowed || substitute && before == Evaluating && last.Cause == Substitute && by == policy; !allowed {
						t.Fatalf("%s without an allow", after)
					}
				}
			}
		}
		if finals > 1 || state(r).Final() != (finals == 1) {
			t.Fatalf("%d final states, now %s", finals, state(r))
		}
		for _, once := range []string{"launching", "launched", "ended", "allowed"} {
			if n := len(slices.DeleteFunc(slices.Clone(records), func(r string) bool { return r != once })); n > 1 {
				t.Fatalf("%d records %s", n, once)
			}
		}
	})
}

func TestAFactAboutAnotherStateChangesNothing(t *testing.T) {
	_, r := open(&log{})
	reach(t, r, Running)
	if err := r.Apply(Fact{Cause: Fault, By: service, In: Launching}); !errors.Is(err, ErrConflict) || state(r) != Running {
		t.Errorf("%v, now %s", err, state(r))
	}
	if err := r.Apply(Fact{Cause: Fault, By: service, In: Running}); err != nil || state(r) != Failed {
		t.Errorf("%v, now %s", err, state(r))
	}
}

// Of many who launch at once, one does.
func TestTheFirstLaunchConsumesTheRequest(t *testing.T) {
	_, r := open(&log{})
	reach(t, r, Allowed)
	var wait sync.WaitGroup
	errs := make(chan error, 50)
	for range 50 {
		wait.Go(func() { errs <- r.Apply(Fact{Cause: Launch, By: job}) })
	}
	wait.Wait()
	close(errs)
	won := 0
	for err := range errs {
		if err == nil {
			won++
		} else if !errors.Is(err, ErrConflict) {
			t.Error(err)
		}
	}
	if won != 1 {
		t.Errorf("%d launches", won)
	}
	r.Apply(Fact{Cause: Fault, By: service})
}
