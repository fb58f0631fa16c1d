package launcher

import (
	"context"
	"slices"
	"strings"
	"testing"

	"kpm/core"
	"kpm/core/controls"
	"kpm/core/door"
	"kpm/core/wire"
	"kpm/launcher/control"
	"kpm/launcher/request"
)

// badge is a control that this release does not have: the person types the
// number of a card. A new one is a row of the table and such a file.
type badge struct{}

const badgeName core.Control = "BADGE"

func (badge) Name() core.Control { return badgeName }
func (badge) Command() string    { return "prompt-badge" }
func (badge) Collect(ctx context.Context, q control.Question) (string, error) {
	number, err := q.Ask(ctx, control.Prompt{Text: "Card number: "})
	if err != nil {
		return "", err
	}
	if number != "4711" {
		return "", &control.Refused{Message: "this card is not known"}
	}
	return "card 4711", nil
}

// withBadge adds the row, and, if it can be verified, what verifies it.
func withBadge(verified bool) func(*world, *Config) {
	return func(_ *world, cfg *Config) {
		cfg.Table = append(controls.Standard(), controls.Row{Name: badgeName, Effect: controls.Required, Asked: "The person shows a card."})
		if verified {
			cfg.Controls = append(control.Bundled(nil, nil, nil, control.Justify{}), badge{})
		}
	}
}

// badged returns a visit of which policy demands BADGE, among others.
func badged(w *world, answer string, others ...core.Control) *visit {
	v := w.elevate(w.submission("tool"))
	v.caller.answers = []any{answer}
	v.answer(core.Pending, append(others, badgeName)...)
	v.event(wire.EventPolicyEvaluationPending)
	return v
}

func TestAnotherControl(t *testing.T) {
	w := newWorld(t, withBadge(true))
	v := badged(w, "4711")
	if err := w.Satisfy(context.Background(), v.job(controlJob), v.id, badgeName); err != nil {
		t.Fatal(err)
	}
	v.event(wire.EventLaunch)
	if want := "opened evaluating pending control allowed"; w.recorded() != want || v.state() != request.Allowed {
		t.Errorf("it is %s, recorded: %s", v.state(), w.recorded())
	}
	if r := w.records()[3]; r.Message != "card 4711" || !slices.Equal(r.Controls, []core.Control{badgeName}) || r.By != controlJob {
		t.Errorf("recorded as %+v", r)
	}
}

func TestAnotherControlThatIsNotSatisfied(t *testing.T) {
	w := newWorld(t, withBadge(true))
	v := badged(w, "0815")
	if err := w.Satisfy(context.Background(), v.job(controlJob), v.id, badgeName); err == nil {
		t.Error("the job was told that it succeeded")
	}
	if r := v.refused(); r.Code != door.CodeDenied || !strings.Contains(r.Message, "this card is not known") {
		t.Errorf("%s: %s", r.Code, r.Message)
	}
	if want := "opened evaluating pending denied"; w.recorded() != want {
		t.Errorf("recorded: %s", w.recorded())
	}
}

// One satisfied control of two allows nothing.
func TestAnotherControlBesideAKnownOne(t *testing.T) {
	w := newWorld(t, withBadge(true))
	v := badged(w, "4711", core.ControlJustify)
	if err := w.Satisfy(context.Background(), v.job(controlJob), v.id, badgeName); err != nil || v.state() != request.Pending {
		t.Errorf("%v, now %s", err, v.state())
	}
	v.caller.mu.Lock()
	v.caller.answers = []any{"a reason"}
	v.caller.mu.Unlock()
	if err := w.Satisfy(context.Background(), v.job(controlJob), v.id, core.ControlJustify); err != nil || v.state() != request.Allowed {
		t.Errorf("%v, now %s", err, v.state())
	}
}

// What policy demands and nothing here verifies is refused at once, and the
// person hears what it was: nobody can say in its place that it is done, and
// nobody is asked for a reason in vain.
func TestAControlThatNothingVerifies(t *testing.T) {
	w := newWorld(t, withBadge(false))
	v := w.elevate(w.submission("tool"))
	v.answer(core.Pending, core.ControlJustify, badgeName)
	if r := v.refused(); r.Code != door.CodeDenied || !strings.Contains(r.Message, `policy "Tools" asks for BADGE, which nothing on this machine can verify yet`) {
		t.Errorf("%s: %s", r.Code, r.Message)
	}
	if want := "opened evaluating denied"; w.recorded() != want {
		t.Errorf("recorded: %s", w.recorded())
	}
}
