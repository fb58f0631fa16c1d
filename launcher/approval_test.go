package launcher

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"kpm/core"
	"kpm/core/door"
	"kpm/core/fair"
	"kpm/core/signal"
	"kpm/core/wire"
	"kpm/launcher/approval"
	"kpm/launcher/control"
	"kpm/launcher/request"
)

var approver = approval.Person{User: "1001", Name: "eve", Administrator: true}

// withApprovals is a world in which approvers can be asked.
func withApprovals(t *testing.T) (*world, *approval.Book) {
	var book *approval.Book
	w := newWorld(t, func(w *world, cfg *Config) {
		var err error
		book, err = approval.Open(w.path("approvals.db"), approval.Limits{
			Pending: 30 * time.Minute, Escalated: time.Hour, Expiration: 72 * time.Hour, Usable: 24 * time.Hour, MaxPerUser: 16, Max: 64,
		}, approval.SystemClock(nil), fair.People{}, nil, func(approval.Record) {}, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := book.Close(context.Background()); err != nil {
				t.Error(err)
			}
		})
		cfg.Controls, cfg.Approvals = control.Bundled(nil, nil, book, control.Justify{}), book
	})
	return w, book
}

// unapproved brings a request to where its control job looks for an approval.
func unapproved(t *testing.T, w *world, k Submission, answers ...any) *visit {
	t.Helper()
	v := w.elevate(k)
	v.caller.answers = answers
	v.answer(core.Pending, core.ControlApproval)
	if list, _ := v.event(wire.EventPolicyEvaluationPending).Context["ControlList"].([]core.Control); len(list) != 2 {
		t.Fatalf("ControlList is %v, expected a reason as well", list)
	}
	if err := w.Satisfy(t.Context(), v.job(controlJob), v.id, core.ControlJustify); err != nil {
		t.Fatal(err)
	}
	return v
}

// asks has approvers asked, and returns the approval.
func asks(t *testing.T, w *world, book *approval.Book, v *visit) string {
	t.Helper()
	var refused *control.Refused
	if err := w.Satisfy(t.Context(), v.job(controlJob), v.id, core.ControlApproval); !errors.As(err, &refused) || refused.Approval == "" {
		t.Fatalf("%v", err)
	}
	if r, err := book.Get(refused.Approval); err != nil || r.State != approval.Pending {
		t.Fatalf("%+v, %v", r, err)
	}
	return refused.Approval
}

func noWait(w *world) Submission {
	k := w.submission("tool", "-x")
	k.NoWait = true
	return k
}

// The request ends, and the approval lives on; another request that is the same uses it
// up, and is asked nothing.
func TestAnApprovalIsAskedForAndUsedByALaterRequest(t *testing.T) {
	w, book := withApprovals(t)
	v := unapproved(t, w, noWait(w), "the disk is full")
	id := asks(t, w, book, v)
	if r := v.refused(); r.Code != door.CodeApprovalPending || !strings.Contains(r.Message, id) {
		t.Errorf("%+v", r)
	}
	if v.state() != request.Denied {
		t.Errorf("it is %s", v.state())
	}
	if r, _ := book.Get(id); r.Justification != "the disk is full" || r.Want.User != "1000" || string(r.Want.Argv[1]) != "-x" || r.Want.Seal != v.asked.SealDigest {
		t.Errorf("%+v", r)
	}
	// As long as it waits, the same asks for nothing anew.
	v = unapproved(t, w, noWait(w))
	if again := asks(t, w, book, v); again != id || len(v.caller.prompts) > 0 {
		t.Errorf("%s beside %s, asked %q", again, id, v.caller.prompts)
	}
	v.refused()

	if _, err := book.Approve(id, approver, "", 0); err != nil {
		t.Fatal(err)
	}
	v = unapproved(t, w, noWait(w))
	if err := w.Satisfy(t.Context(), v.job(controlJob), v.id, core.ControlApproval); err != nil {
		t.Fatal(err)
	}
	v.event(wire.EventLaunch)
	if r, _ := book.Get(id); r.State != approval.Used || r.Request != v.id || len(v.caller.prompts) > 0 {
		t.Errorf("%+v, asked %q", r, v.caller.prompts)
	}
	records := w.records()
	if last := records[len(records)-2]; last.Controls[0] != core.ControlApproval || !strings.Contains(last.Message, id+" by eve") {
		t.Errorf("recorded: %+v", last)
	}
	v = unapproved(t, w, noWait(w), "again")
	if other := asks(t, w, book, v); other == id {
		t.Error("it was used twice")
	}
}

// Attack: another job, another run, a run in the user's session or the user's own
// process says that it is approved.
func TestNobodyElseUsesAnApproval(t *testing.T) {
	w, book := withApprovals(t)
	v := unapproved(t, w, noWait(w), "the disk is full")
	id := asks(t, w, book, v)
	v.refused()
	if _, err := book.Approve(id, approver, "", 0); err != nil {
		t.Fatal(err)
	}
	v = unapproved(t, w, noWait(w))
	session := v.job(controlJob)
	session.InUserSession = true
	other := v.job(controlJob)
	other.Request = "OTHER"
	for _, by := range []core.Principal{session, other, policy, {Kind: core.User, User: "1000"}, {Kind: core.Admin, User: "0"}, core.ServicePrincipal()} {
		if err := w.Satisfy(t.Context(), by, v.id, core.ControlApproval); !errors.Is(err, ErrNotPermitted) {
			t.Errorf("%s: %v", by, err)
		}
	}
	if r, _ := book.Get(id); r.State != approval.Approved || v.state() != request.Pending {
		t.Errorf("it is %s, the request %s", r.State, v.state())
	}
}

func TestWhoWaitsForApprovers(t *testing.T) {
	for name, tc := range map[string]struct {
		happens func(w *world, book *approval.Book, v *visit, id string) error
		check   func(Result) bool
		state   approval.State
	}{
		"approved": {func(_ *world, book *approval.Book, _ *visit, id string) error {
			_, err := book.Approve(id, approver, "go on", 0)
			return err
		}, func(r Result) bool { return r.Again && r.Refused == nil }, approval.Approved},
		"denied": {func(_ *world, book *approval.Book, _ *visit, id string) error {
			_, err := book.Deny(id, approver, "not today")
			return err
		}, func(r Result) bool {
			return r.Refused.Code == door.CodeDenied && strings.Contains(r.Refused.Message, "denied by eve: not today")
		}, approval.Denied},
		"interrupted": {func(_ *world, _ *approval.Book, v *visit, _ string) error {
			v.signals <- signal.Sent{Signal: signal.Continue} // which ends nothing
			v.signals <- signal.Sent{Signal: signal.Interrupt}
			return nil
		}, func(r Result) bool {
			return r.Refused.Code == door.CodeDenied && strings.Contains(r.Refused.Message, "withdrawn")
		}, approval.Withdrawn},
		"gone": {func(_ *world, _ *approval.Book, v *visit, _ string) error {
			v.leave()
			return nil
		}, func(r Result) bool { return r.Refused.Code == door.CodeDenied }, approval.Withdrawn},
		"the service stops": {func(w *world, _ *approval.Book, _ *visit, _ string) error {
			return w.Close(context.Background())
		}, func(r Result) bool { return r.Later && r.Refused == nil }, approval.Pending},
	} {
		t.Run(name, func(t *testing.T) {
			w, book := withApprovals(t)
			k := w.submission("tool")
			v := unapproved(t, w, k, "the disk is full")
			id := asks(t, w, book, v)
			if told := <-v.caller.hears; !strings.Contains(told, id) || !strings.Contains(told, "Ctrl-C") {
				t.Errorf("told %q", told)
			}
			if !isClosedFile(k.Dir) {
				t.Error("what was handed over is kept while nothing is done with it")
			}
			if err := tc.happens(w, book, v, id); err != nil {
				t.Fatal(err)
			}
			if r := <-v.result; !tc.check(r) {
				t.Errorf("%+v, %+v", r, r.Refused)
			}
			if r, err := book.Get(id); err != nil || r.State != tc.state {
				t.Errorf("it is %s, %v", r.State, err)
			}
		})
	}
}

// An answer that names no approvers means administrators; one that names more than
// anybody may is not understood.
func TestWhomAnAnswerNames(t *testing.T) {
	w, book := withApprovals(t)
	v := unapproved(t, w, noWait(w), "the disk is full")
	if r, _ := book.Get(asks(t, w, book, v)); len(r.Want.Rules) != 1 || r.Want.Rules[0].Number != 1 || r.Want.Rules[0].Users != nil {
		t.Errorf("%+v", r.Want.Rules)
	}
	for name, rules := range map[string][]core.ApprovalRule{
		"nobody needed": {{Number: 0}}, "less than nobody": {{Number: -1}}, "too many": {{Number: core.MaxApprovers + 1}},
		"too long a list": {{Number: 1, Users: make([]string, core.MaxApprovers+1)}}, "too many policies": make([]core.ApprovalRule, core.MaxApprovalRules+1),
		"a schedule without an end": {{Number: 1, Automatic: &core.AutomaticApproval{Schedule: "always"}}},
	} {
		v := w.elevate(noWait(w))
		err := w.Answer(policy, wire.PolicyResponse{RequestID: v.id, SealDigest: v.asked.SealDigest, Decision: core.Pending, Controls: []core.Control{core.ControlApproval}, Approvals: rules})
		if r := v.refused(); err != nil || r.Code != door.CodeDenied || !strings.Contains(r.Message, "could not be understood") {
			t.Errorf("%s: %v, %+v", name, err, r)
		}
	}
}

// A schedule of the policy's approves at once: the request that asked runs, and the
// journal says by what (W17).
func TestAScheduleApprovesInsteadOfPeople(t *testing.T) {
	for name, tc := range map[string]struct {
		until time.Time
		runs  bool
	}{"open": {time.Now().Add(time.Hour), true}, "closed by now": {time.Now().Add(-time.Second), false}} {
		w, book := withApprovals(t)
		v := w.elevate(noWait(w))
		v.caller.answers = []any{"the disk is full"}
		rule := core.ApprovalRule{Policy: core.PolicyRef{ID: "office"}, Number: 1, Automatic: &core.AutomaticApproval{Schedule: "9 to 17 in UTC", Until: tc.until.UnixMilli()}}
		if err := w.Answer(policy, wire.PolicyResponse{RequestID: v.id, SealDigest: v.asked.SealDigest, Decision: core.Pending, Controls: []core.Control{core.ControlApproval}, Approvals: []core.ApprovalRule{rule}}); err != nil {
			t.Fatal(err)
		}
		v.event(wire.EventPolicyEvaluationPending)
		if err := w.Satisfy(t.Context(), v.job(controlJob), v.id, core.ControlJustify); err != nil {
			t.Fatal(err)
		}
		err := w.Satisfy(t.Context(), v.job(controlJob), v.id, core.ControlApproval)
		list := book.List()
		if len(list) != 1 {
			t.Fatalf("%s: %+v", name, list)
		}
		if tc.runs {
			v.event(wire.EventLaunch)
			if r := list[0]; err != nil || r.State != approval.Used || r.Request != v.id || r.Decisions[0].Name != "the schedule of policy office" {
				t.Errorf("%s: %v, %+v", name, err, r)
			}
			continue
		}
		var refused *control.Refused
		if !errors.As(err, &refused) || refused.Approval != list[0].ID || list[0].State != approval.Pending {
			t.Errorf("%s: %v, %+v", name, err, list[0])
		}
		v.refused()
	}
}

// A reason that comes with the request is held to the same, and nobody is asked.
func TestAReasonThatIsOffered(t *testing.T) {
	for reason, allowed := range map[string]bool{"ticket 7": true, " ": false, "?!": false, strings.Repeat("x", 1001): false} {
		w := newWorld(t)
		k := w.submission("tool")
		k.NonInteractive, k.Reason = true, reason
		v := pending(w, k)
		if err := w.Satisfy(t.Context(), v.job(controlJob), v.id, core.ControlJustify); (err == nil) != allowed {
			t.Errorf("%.20q: %v", reason, err)
		}
		if len(v.caller.prompts) > 0 {
			t.Errorf("asked %q", v.caller.prompts)
		}
	}
}
