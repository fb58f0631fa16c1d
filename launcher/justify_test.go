package launcher

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"kpm/core"
	"kpm/core/wire"
	"kpm/launcher/request"
)

const controlJob = "privilege-elevation-policy-controls"

// pending returns a visit that waits for a reason.
func pending(w *world, k Submission, answers ...any) *visit {
	v := w.elevate(k)
	v.caller.answers = answers
	v.answer(core.Pending, core.ControlJustify)
	e := v.event(wire.EventPolicyEvaluationPending)
	if list, ok := e.Context["ControlList"].([]core.Control); !ok || len(list) != 1 || list[0] != core.ControlJustify {
		w.t.Fatalf("ControlList is %v", e.Context["ControlList"])
	}
	return v
}

func TestAReasonAllowsAndIsRecorded(t *testing.T) {
	w := newWorld(t)
	v := pending(w, w.submission("tool"), " mend\x1b[2J the disk ")
	if err := w.Satisfy(context.Background(), v.job(controlJob), v.id, core.ControlJustify); err != nil {
		t.Fatal(err)
	}
	v.event(wire.EventLaunch)
	if v.state() != request.Allowed {
		t.Errorf("it is %s", v.state())
	}
	if want := "opened evaluating pending control allowed"; w.recorded() != want {
		t.Errorf("recorded: %s", w.recorded())
	}
	r := w.records()[3]
	if r.Message != "mend\ufffd[2J the disk" || len(r.Controls) != 1 || r.Controls[0] != core.ControlJustify || r.By != controlJob {
		t.Errorf("the control was recorded as %+v", r)
	}
	if len(v.caller.prompts) != 1 || !strings.Contains(v.caller.prompts[0], w.path("bin/tool")+" as root") {
		t.Errorf("asked %q", v.caller.prompts)
	}
}

func TestWhoGivesNoReasonIsRefused(t *testing.T) {
	quiet := func(k *Submission) { k.NonInteractive = true }
	cases := map[string]struct {
		submitted func(*Submission)
		answers   []any
		code      string
		says      string
		asked     int
	}{
		"cancelled":         {nil, []any{core.ErrCancelled}, "denied", "you gave no reason", 1},
		"nothing":           {nil, []any{""}, "denied", "you gave no reason", 1},
		"blanks":            {nil, []any{" \t\n"}, "denied", "you gave no reason", 1},
		"no words":          {nil, []any{"?\x00-\x1b"}, "denied", "you gave no reason", 1},
		"too much":          {nil, []any{strings.Repeat("x", 1001)}, "denied", "longer than 1000", 1},
		"no answer in time": {nil, nil, "expired", "no reason was given", 1},
		"must not be asked": {quiet, []any{"a reason"}, "denied", "-n forbids", 0},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				w := newWorld(t)
				k := w.submission("tool")
				if c.submitted != nil {
					c.submitted(&k)
				}
				v := pending(w, k, c.answers...)
				if err := w.Satisfy(context.Background(), v.job(controlJob), v.id, core.ControlJustify); err == nil {
					t.Error("the job was told that it succeeded")
				}
				if r := v.refused(); r.Code != c.code || !strings.Contains(r.Message, c.says) {
					t.Errorf("%s: %s", r.Code, r.Message)
				}
				if len(v.caller.prompts) != c.asked {
					t.Errorf("asked %q", v.caller.prompts)
				}
			})
		})
	}
}

func TestOnlyTheRunOfThisRequestAsks(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t)
		v := pending(w, w.submission("tool"))
		ctx := context.Background()
		other, user := v.job(controlJob), v.job(controlJob)
		other.Request, user.InUserSession = "R2", true
		for name, run := range map[string]core.Principal{
			"nobody": {}, "KeeperPolicy": policy, "the service": core.ServicePrincipal(), "another request's run": other, "the run as a user": user,
		} {
			if err := w.Satisfy(ctx, run, v.id, core.ControlJustify); !errors.Is(err, ErrNotPermitted) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if err := w.Satisfy(ctx, v.job(controlJob), "NEVER", core.ControlJustify); !errors.Is(err, request.ErrUnknown) {
			t.Errorf("an unknown request: %v", err)
		}
		if len(v.caller.prompts) != 0 {
			t.Error("the person was asked")
		}
		// Two at once would mix up their answers.
		first := make(chan error)
		go func() { first <- w.Satisfy(ctx, v.job(controlJob), v.id, core.ControlJustify) }()
		time.Sleep(time.Second)
		if err := w.Satisfy(ctx, v.job(controlJob), v.id, core.ControlJustify); !errors.Is(err, request.ErrConflict) {
			t.Errorf("a second question: %v", err)
		}
		v.leave()
		v.refused()
		if err := <-first; err == nil {
			t.Error("the first was told that it succeeded")
		}
		if err := w.Satisfy(ctx, v.job(controlJob), v.id, core.ControlJustify); !errors.Is(err, request.ErrConflict) {
			t.Errorf("afterwards: %v", err)
		}
	})
}

func TestOnlyWhatPolicyAsksForIsAsked(t *testing.T) {
	w := newWorld(t, withBadge(true))
	v := w.elevate(w.submission("tool"))
	run := v.job(controlJob)
	if err := w.Satisfy(context.Background(), run, v.id, core.ControlJustify); !errors.Is(err, request.ErrConflict) {
		t.Errorf("before policy answered: %v", err)
	}
	v.answer(core.Pending, badgeName)
	if err := w.Satisfy(context.Background(), run, v.id, core.ControlJustify); err != nil || v.state() != request.Pending {
		t.Errorf("BADGE alone: %v, now %s", err, v.state())
	}
	two := w.elevate(w.submission("tool"))
	two.caller.answers = []any{"reason"}
	two.answer(core.Pending, badgeName, core.ControlJustify)
	for range 2 {
		if err := w.Satisfy(context.Background(), two.job(controlJob), two.id, core.ControlJustify); err != nil || two.state() != request.Pending {
			t.Errorf("BADGE and JUSTIFY: %v, now %s", err, two.state())
		}
	}
	if len(v.caller.prompts) != 0 || len(two.caller.prompts) != 1 {
		t.Errorf("asked %q and %q", v.caller.prompts, two.caller.prompts)
	}
}
