package launcher

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"kpm/core"
	"kpm/core/dialog"
	"kpm/launcher/control"
	"kpm/launcher/request"
)

// listens has ada wait for questions at another terminal, and answers them by show.
func listens(show dialog.Show) func(*world, *Config) {
	return func(_ *world, cfg *Config) {
		cfg.Elsewhere = func(asking core.Peer) (dialog.Show, bool) {
			return show, show != nil && asking.User == "1000" && slices.Equal(asking.Processes, []core.ProcessID{client})
		}
	}
}

// What was entered at another terminal is verified like what was typed at the request's,
// of which nothing is asked.
func TestAnAnswerFromAnotherTerminalIsVerified(t *testing.T) {
	c, configure := atTerminals(nil)
	var shown []dialog.Question
	answers := []string{"000000", "123456"}
	w := newWorld(t, configure, listens(func(_ context.Context, _ dialog.Desktop, q dialog.Question) (dialog.Answer, error) {
		shown = append(shown, q)
		return dialog.Answer{Outcome: dialog.Given, Text: answers[len(shown)-1]}, nil
	}))
	v := demandsOnDesktop(w, core.ControlMFA)
	if err := w.Satisfy(t.Context(), v.job(controlJob), v.id, core.ControlMFA); err != nil {
		t.Fatal(err)
	}
	if len(c.tries) != 2 || len(v.caller.prompts) > 0 || !slices.Contains(v.caller.told, "request "+v.id.Code()+": answer the question that keeperAgent shows at another terminal of yours") {
		t.Errorf("%d tries; asked %q, told %q", len(c.tries), v.caller.prompts, v.caller.told)
	}
	q := shown[0]
	if q.Kind != dialog.KindCode || !q.Secret || q.Code != v.id.Code() || q.Target != "root" || q.Text != "Enter your code:" ||
		!strings.HasSuffix(q.Program, "bin/tool") || !strings.Contains(q.CommandLine, `\x1B[2J`) || strings.Contains(q.CommandLine, "\x1b") {
		t.Errorf("%+v", q)
	}
}

// Whoever gives no answer at another terminal, or has gone, has denied: neither the
// request's own descriptors nor anything else is asked instead.
func TestNoAnswerFromAnotherTerminalDenies(t *testing.T) {
	for _, outcome := range []dialog.Outcome{dialog.Declined, dialog.Unavailable, dialog.Approved, ""} {
		w := newWorld(t, listens(func(context.Context, dialog.Desktop, dialog.Question) (dialog.Answer, error) {
			return dialog.Answer{Outcome: outcome, Text: "a reason"}, nil
		}))
		v := demandsOnDesktop(w, core.ControlJustify)
		err := w.Satisfy(t.Context(), v.job(controlJob), v.id, core.ControlJustify)
		var refused *control.Refused
		if !errors.As(err, &refused) || v.state() != request.Denied || len(v.caller.prompts) > 0 {
			t.Errorf("%q: %v, it is %s; asked %q", outcome, err, v.state(), v.caller.prompts)
		}
	}
}

// Whoever has a terminal is asked there, and whoever may not be asked nowhere.
func TestAnotherTerminalIsForWhoHasNone(t *testing.T) {
	for name, change := range map[string]func(*Submission){
		"at a terminal": func(k *Submission) { k.Terminal = true },
		"with -n":       func(k *Submission) { k.NonInteractive = true },
	} {
		w := newWorld(t, listens(func(context.Context, dialog.Desktop, dialog.Question) (dialog.Answer, error) {
			t.Errorf("%s: asked at another terminal", name)
			return dialog.Answer{Outcome: dialog.Declined}, nil
		}))
		k := w.submission("tool")
		change(&k)
		v := w.elevate(k)
		v.caller.answers = []any{"a reason"}
		v.answer(core.Pending, core.ControlJustify)
		err := w.Satisfy(t.Context(), v.job(controlJob), v.id, core.ControlJustify)
		if asked := err == nil && v.state() == request.Allowed; asked != k.Terminal || k.Terminal != (len(v.caller.prompts) == 1) {
			t.Errorf("%s: %v, it is %s; asked %q", name, err, v.state(), v.caller.prompts)
		}
	}
}

// Where nobody can be asked, the refusal says what to do about it. Where no other
// terminal ever is asked, it does not say so.
func TestWhereNobodyListensTheRefusalSaysWhatToDo(t *testing.T) {
	const advice = "; there is no terminal here: to be asked, run keeperAgent --approval in another terminal, and ask again"
	for name, tc := range map[string]struct {
		configure func(*world, *Config)
		want      string
	}{
		"nobody listens":      {listens(nil), "you gave no reason" + advice},
		"nobody could listen": {func(*world, *Config) {}, "you gave no reason"},
	} {
		w := newWorld(t, tc.configure)
		v := demandsOnDesktop(w, core.ControlJustify)
		v.caller.answers = []any{core.ErrCancelled}
		_ = w.Satisfy(t.Context(), v.job(controlJob), v.id, core.ControlJustify)
		if r := v.refused(); !strings.Contains(r.Message, tc.want+" (request ") {
			t.Errorf("%s: %q", name, r.Message)
		}
	}
}

// Attack: while a person enters a code for one request, another one has something else
// shown at their terminals.
func TestOneQuestionAtATimeIsAtAPersonsTerminals(t *testing.T) {
	onScreen, enter := make(chan string), make(chan struct{})
	w := newWorld(t, listens(func(_ context.Context, _ dialog.Desktop, q dialog.Question) (dialog.Answer, error) {
		onScreen <- q.Code
		<-enter
		return dialog.Answer{Outcome: dialog.Given, Text: "a reason"}, nil
	}))
	first, second := demandsOnDesktop(w, core.ControlJustify), demandsOnDesktop(w, core.ControlJustify)
	done := make(chan error, 2)
	ask := func(v *visit) { done <- w.Satisfy(t.Context(), v.job(controlJob), v.id, core.ControlJustify) }
	go ask(first)
	if code := <-onScreen; code != first.id.Code() {
		t.Fatal(code)
	}
	go ask(second)
	for !waits(&w.desks, "user/1000", 2) {
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
}
