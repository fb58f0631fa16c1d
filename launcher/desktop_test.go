package launcher

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"kpm/core"
	"kpm/core/dialog"
	"kpm/core/wire"
	"kpm/launcher/control"
	"kpm/launcher/request"
)

// atDesk has ada logged in to session 7, which shows windows.
func atDesk(_ *world, cfg *Config) {
	cfg.Desktop = func(user core.UserID, session core.SessionID) (core.SessionID, bool) { return "7", user == "1000" }
}

// Where a person is asked is the service's word, by what they have.
func TestWhereAPersonIsAsked(t *testing.T) {
	for name, tc := range map[string]struct {
		terminal, desktop, quiet, loggedIn bool
		want                               string
	}{
		"without a terminal":                {false, false, false, true, "desktop"},
		"at a terminal":                     {true, false, false, true, "terminal"},
		"at a terminal, with --desktop":     {true, true, false, true, "desktop"},
		"with --desktop, and there is none": {true, true, false, false, "terminal"},
		"without either":                    {false, false, false, false, "terminal"},
		"who may not be asked":              {false, false, true, true, "terminal"},
	} {
		w := newWorld(t, func(w *world, cfg *Config) {
			if tc.loggedIn {
				atDesk(w, cfg)
			}
		})
		k := w.submission("tool")
		k.Terminal, k.Desktop, k.NonInteractive = tc.terminal, tc.desktop, tc.quiet
		v := w.elevate(k)
		v.answer(core.Pending, core.ControlJustify)
		if e := v.event(wire.EventPolicyEvaluationPending); e.Context["AskOn"] != tc.want {
			t.Errorf("%s: asked on %v, expected %s", name, e.Context["AskOn"], tc.want)
		}
	}
}

// demandsOnDesktop is a request, without a terminal, of which policy demands controls.
func demandsOnDesktop(w *world, controls ...core.Control) *visit {
	v := w.elevate(w.submission("tool", "\x1b[2J", "x"))
	v.answer(core.Pending, controls...)
	v.event(wire.EventPolicyEvaluationPending)
	return v
}

// What was entered in a dialog is verified like what was typed at a terminal.
func TestAnAnswerOfADialogIsVerified(t *testing.T) {
	c, configure := atTerminals(nil)
	w := newWorld(t, configure, atDesk)
	v := demandsOnDesktop(w, core.ControlMFA)
	var shown []dialog.Question
	answers := []string{"000000", "123456"}
	show := func(_ context.Context, on dialog.Desktop, q dialog.Question) (dialog.Answer, error) {
		if shown = append(shown, q); on != (dialog.Desktop{User: "ada", Session: "7"}) {
			t.Errorf("shown to %+v", on)
		}
		return dialog.Answer{Outcome: dialog.Given, Text: answers[len(shown)-1]}, nil
	}
	if err := w.SatisfyBy(t.Context(), v.job(controlJob), v.id, core.ControlMFA, show); err != nil {
		t.Fatal(err)
	}
	v.event(wire.EventLaunch)
	if len(c.tries) != 2 || len(v.caller.prompts) > 0 || !slices.Contains(v.caller.told, "request "+v.id.Code()+": answer the question on your desktop") {
		t.Errorf("%d tries; asked %q, told %q", len(c.tries), v.caller.prompts, v.caller.told)
	}
	q := shown[0]
	if q.Kind != dialog.KindCode || !q.Secret || q.Code != v.id.Code() || q.Target != "root" || q.Text != "Enter your code:" ||
		!strings.HasSuffix(q.Program, "bin/tool") || !strings.Contains(q.CommandLine, `\x1B[2J`) || strings.Contains(q.CommandLine, "\x1b") {
		t.Errorf("%+v", q)
	}
	if !strings.Contains(shown[1].Text, "wrong") {
		t.Errorf("after a wrong code: %+v", shown[1])
	}
}

// A dialog that is closed, or says what no dialog of its kind says, has denied.
func TestADialogThatGivesNoAnswerDenies(t *testing.T) {
	for _, outcome := range []dialog.Outcome{dialog.Declined, dialog.Approved, dialog.Denied, "", "yes"} {
		w := newWorld(t, atDesk)
		v := demandsOnDesktop(w, core.ControlJustify)
		err := w.SatisfyBy(t.Context(), v.job(controlJob), v.id, core.ControlJustify, func(context.Context, dialog.Desktop, dialog.Question) (dialog.Answer, error) {
			return dialog.Answer{Outcome: outcome, Text: "a reason"}, nil
		})
		var refused *control.Refused
		if !errors.As(err, &refused) || v.state() != request.Denied {
			t.Errorf("%q: %v, it is %s", outcome, err, v.state())
		}
	}
}

// Where no dialog can be shown, nobody has denied: the terminal is asked. If that cannot
// be either, the refusal says both.
func TestWhereNoDialogCanBeShownTheTerminalIsAsked(t *testing.T) {
	unavailable := func(context.Context, dialog.Desktop, dialog.Question) (dialog.Answer, error) {
		return dialog.Answer{Outcome: dialog.Unavailable, Text: "install zenity\x1b"}, nil
	}
	fails := func(context.Context, dialog.Desktop, dialog.Question) (dialog.Answer, error) {
		return dialog.Answer{}, errors.New("nobody is logged in")
	}
	for _, show := range []dialog.Show{unavailable, fails} {
		for _, answer := range []any{"a reason", core.ErrCancelled} {
			w := newWorld(t, atDesk)
			v := demandsOnDesktop(w, core.ControlJustify)
			v.caller.answers = []any{answer}
			if err := w.SatisfyBy(t.Context(), v.job(controlJob), v.id, core.ControlJustify, show); !errors.Is(err, errUnseen) || v.state() != request.Pending {
				t.Fatalf("%v, it is %s", err, v.state())
			}
			err := w.Satisfy(t.Context(), v.job(controlJob), v.id, core.ControlJustify)
			if answer == "a reason" {
				if err != nil || v.state() != request.Allowed {
					t.Errorf("%v, it is %s", err, v.state())
				}
				continue
			}
			if r := v.refused(); !strings.Contains(r.Message, "you gave no reason; you could not be asked on your desktop: ") || strings.Contains(r.Message, "\x1b") {
				t.Errorf("%q", r.Message)
			}
		}
	}
}

// Nobody who asks on a desktop has to wait for somebody who has gone; and a dialog that
// nobody answers ends in time.
func TestADialogEndsWithItsRequest(t *testing.T) {
	for name, leaves := range map[string]bool{"the caller goes": true, "nobody answers": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, atDesk)
				v := demandsOnDesktop(w, core.ControlJustify)
				err := w.SatisfyBy(t.Context(), v.job(controlJob), v.id, core.ControlJustify, func(ctx context.Context, _ dialog.Desktop, _ dialog.Question) (dialog.Answer, error) {
					if leaves {
						v.leave()
					}
					<-ctx.Done()
					return dialog.Answer{Outcome: dialog.Given, Text: "too late"}, nil
				})
				r := v.refused()
				if err == nil || (v.state() == request.Expired) == leaves || v.state() == request.Allowed {
					t.Errorf("%v, it is %s: %+v", err, v.state(), r)
				}
			})
		})
	}
}

// Attack: while a person enters something for one request, the dialog of another one
// takes the keyboard.
func TestOneDialogAtATimeIsOnADesktop(t *testing.T) {
	w := newWorld(t, atDesk)
	first, second := demandsOnDesktop(w, core.ControlJustify), demandsOnDesktop(w, core.ControlJustify)
	onScreen, enter := make(chan string), make(chan struct{})
	show := func(_ context.Context, _ dialog.Desktop, q dialog.Question) (dialog.Answer, error) {
		onScreen <- q.Code
		<-enter
		return dialog.Answer{Outcome: dialog.Given, Text: "a reason"}, nil
	}
	done := make(chan error, 2)
	ask := func(v *visit) {
		done <- w.SatisfyBy(t.Context(), v.job(controlJob), v.id, core.ControlJustify, show)
	}
	go ask(first)
	if code := <-onScreen; code != first.id.Code() {
		t.Fatal(code)
	}
	go ask(second)
	for !waits(&w.desks, "session/7", 2) {
		select {
		case code := <-onScreen:
			t.Fatalf("%s is shown as well", code)
		default:
		}
	}
	enter <- struct{}{}
	if code := <-onScreen; code != second.id.Code() {
		t.Error(code)
	}
	enter <- struct{}{}
	if err := errors.Join(<-done, <-done); err != nil {
		t.Error(err)
	}
	if len(w.desks.turns) > 0 {
		t.Errorf("remembered: %v", w.desks.turns)
	}
}

// waits reports whether so many have or want the turn on a desktop.
func waits(d *desks, place string, n int) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.turns[place] != nil && d.turns[place].here == n
}

// On a desktop the person says whether approvers are to be asked.
func TestApproversAreAskedIfThePersonSaysSo(t *testing.T) {
	for outcome, want := range map[dialog.Outcome]bool{dialog.Given: true, dialog.Declined: false} {
		w, book := withApprovals(t)
		w.Launcher.cfg.Desktop = func(core.UserID, core.SessionID) (core.SessionID, bool) { return "7", true }
		v := unapproved(t, w, noWait(w), "the disk is full")
		var shown dialog.Question
		err := w.SatisfyBy(t.Context(), v.job(controlJob), v.id, core.ControlApproval, func(_ context.Context, _ dialog.Desktop, q dialog.Question) (dialog.Answer, error) {
			shown = q
			return dialog.Answer{Outcome: outcome}, nil
		})
		var refused *control.Refused
		if !errors.As(err, &refused) || (refused.Approval != "") != want || len(book.List()) > 0 != want {
			t.Errorf("%s: %v, %+v", outcome, err, book.List())
		}
		if shown.Kind != dialog.KindRequest || !strings.Contains(shown.Text, "approval") {
			t.Errorf("shown %+v", shown)
		}
		v.refused()
	}
}
