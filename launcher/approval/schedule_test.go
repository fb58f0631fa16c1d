package approval

import (
	"strings"
	"testing"
	"time"

	"kpm/core"
)

// scheduled is a rule whose schedule is open for a time.
func (d *desk) scheduled(id string, open time.Duration) core.ApprovalRule {
	return core.ApprovalRule{Policy: core.PolicyRef{ID: id}, Users: []string{"ada"}, EscalatedUsers: []string{"eve"}, Number: 1,
		Automatic: &core.AutomaticApproval{Schedule: "09:00:00 to 17:00:00 in Europe/Berlin", Until: d.Now().Add(open).UnixMilli()}}
}

// A schedule approves instead of people, with an end, and what it has approved runs
// once.
func TestASchedule(t *testing.T) {
	for name, tc := range map[string]struct {
		open, lasts time.Duration
	}{
		"until it closes":          {2 * time.Hour, 2 * time.Hour},
		"as long as any other":     {100 * time.Hour, published.Usable},
		"for the last millisecond": {time.Millisecond, time.Millisecond},
	} {
		d := newDesk(t)
		w := want("1000", d.scheduled("p", tc.open))
		r := d.ask(t, w)
		if r.State != Approved || d.Remaining(&r) != tc.lasts || len(r.Decisions) != 1 || r.Want.Rules[0].Automatic != nil {
			t.Fatalf("%s: %+v, for %s", name, r, d.Remaining(&r))
		}
		if said := r.Decisions[0]; said.Cause != Schedule || said.By != "" || said.Name != "the schedule of policy p" || !strings.Contains(said.Comment, "Europe/Berlin") {
			t.Errorf("%s: %+v", name, said)
		}
		if len(d.said) != 1 || d.said[0] != Approved {
			t.Errorf("%s: told %v", name, d.said)
		}
		d.restart(t)
		d.pass(tc.lasts - 1)
		if _, err := d.Use(&w, "R"); err != nil {
			t.Errorf("%s: in its last moment: %v", name, err)
		}
		if _, err := d.Use(&w, "R"); err == nil {
			t.Errorf("%s: it ran twice", name)
		}
		w.Rules[0] = d.scheduled("p", tc.open)
		r = d.ask(t, w)
		d.pass(tc.lasts)
		if _, err := d.Use(&w, "R"); err == nil || d.state(t, r.ID) != Expired {
			t.Errorf("%s: used after its end: %v", name, err)
		}
	}
}

// People decide where one of the policies has no schedule, or one that is closed by
// now.
func TestNoSchedule(t *testing.T) {
	d := newDesk(t)
	open, closed := d.scheduled("p", time.Hour), d.scheduled("q", 0)
	plain := core.ApprovalRule{Policy: core.PolicyRef{ID: "r"}, Number: 1}
	for name, rules := range map[string][]core.ApprovalRule{"closed": {closed}, "one of two closed": {open, closed}, "one of two without": {open, plain}} {
		w := want("1000", rules...)
		if r := d.ask(t, w); r.State != Pending || len(r.Decisions) != 0 {
			t.Errorf("%s: %+v", name, r)
		}
	}
	if r := d.ask(t, want("1001", open, d.scheduled("q", time.Minute))); r.State != Approved || d.Remaining(&r) != time.Minute {
		t.Errorf("both open: %+v", r)
	}
}

// What waits since before the schedule opened is approved when it is asked for again,
// escalated or not; what is refused is not.
func TestAScheduleThatOpensLater(t *testing.T) {
	for name, tc := range map[string]struct {
		before func(*desk, string) error
		same   bool
	}{
		"pending":   {func(*desk, string) error { return nil }, true},
		"escalated": {func(d *desk, _ string) error { d.pass(published.Pending); return nil }, true},
		"denied":    {func(d *desk, id string) error { _, err := d.Deny(id, ada, "no"); return err }, false},
	} {
		d := newDesk(t)
		rule := d.scheduled("p", time.Hour)
		rule.Automatic = nil
		first := d.ask(t, want("1000", rule))
		if err := tc.before(d, first.ID); err != nil {
			t.Fatal(err)
		}
		r := d.ask(t, want("1000", d.scheduled("p", time.Hour)))
		if r.State != Approved || (r.ID == first.ID) != tc.same || d.Remaining(&r) != time.Hour {
			t.Errorf("%s: %+v", name, r)
		}
		if !tc.same && d.state(t, first.ID) != Denied {
			t.Errorf("%s: the first is %s", name, d.state(t, first.ID))
		}
	}
}
