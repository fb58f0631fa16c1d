package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"kpm/api/client"
	"kpm/core/dialog"
	"kpm/core/view"
)

// streams is a service that says what it is told to, until the caller goes.
type streams func(ctx context.Context, path string, each func(name string, data []byte) error) error

func (s streams) Stream(ctx context.Context, path string, each func(string, []byte) error) error {
	return s(ctx, path, each)
}

// asker is a service that asks, and a person at a terminal who answers.
type asker struct {
	*person
	says  chan view.Prompt
	keys  *io.PipeWriter
	done  chan error
	mu    sync.Mutex
	shown strings.Builder
	wrote chan struct{}
	ready []bool // of each question whether it was secret
	left  int    // how often the terminal was given back
}

func (a *asker) Write(p []byte) (int, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	select {
	case a.wrote <- struct{}{}:
	default:
	}
	return a.shown.Write(p)
}

// newAsker has somebody wait at the menu.
func newAsker(t *testing.T) *asker {
	a := &asker{person: newPerson(""), says: make(chan view.Prompt), wrote: make(chan struct{}, 1), done: make(chan error, 1)}
	in, keys := io.Pipe()
	a.keys, a.Stdin, a.Stdout = keys, in, a
	a.Answering = func(secret bool) (func(), error) {
		a.ready = append(a.ready, secret)
		return func() { a.left++ }, nil
	}
	a.from = streams(func(ctx context.Context, path string, each func(string, []byte) error) error {
		if path != promptsPath {
			return fmt.Errorf("asked %s", path)
		}
		for p := (view.Prompt{Kind: view.PromptListening}); ; {
			data, err := json.Marshal(p)
			if err == nil {
				err = each(p.Kind, data)
			}
			if err != nil {
				return err
			}
			select {
			case p = <-a.says:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	})
	go func() { a.done <- a.talk(t.Context(), nil) }()
	return a
}

// asks asks, and waits until that is shown.
func (a *asker) asks(t *testing.T, id string, secret bool) {
	t.Helper()
	a.says <- view.Prompt{Kind: view.PromptQuestion, ID: id, Question: &dialog.Question{
		Kind: dialog.KindCode, Code: "ABCDEF", Program: "/usr/bin/\x1b[2Jid", Target: "root", CommandLine: "id\n\u202e-u", Text: "Code of " + id + ":", Secret: secret,
	}}
	a.until(t, "Code of "+id+": (Escape refuses) ")
}

func (a *asker) until(t *testing.T, text string) {
	t.Helper()
	late := time.After(30 * time.Second)
	for {
		a.mu.Lock()
		shown := a.shown.String()
		a.mu.Unlock()
		if strings.Contains(shown, text) {
			return
		}
		select {
		case <-a.wrote:
		case <-late:
			t.Fatalf("%q is not in %q", text, shown)
		}
	}
}

func (a *asker) types(t *testing.T, keys string) {
	t.Helper()
	if _, err := io.WriteString(a.keys, keys); err != nil {
		t.Fatal(err)
	}
}

// Whoever waits at the menu answers what other requests of theirs need, and has the menu
// again; Escape refuses, and what is shown moves no cursor.
func TestQuestionsOfOtherRequests(t *testing.T) {
	a := newAsker(t)
	a.until(t, keys)
	a.asks(t, "Q1", true)
	a.types(t, "123456\n")
	a.until(t, "(Escape refuses) \n"+keys)
	a.asks(t, "Q2", false)
	a.types(t, "12\x1b")
	a.until(t, "Code of Q2: (Escape refuses) \n"+keys) // one at a time is asked
	a.asks(t, "Q3", false)
	a.says <- view.Prompt{Kind: view.PromptOver, ID: "Q3"}
	a.until(t, "This question is over.\n"+keys)
	a.types(t, "e\n")
	if err := <-a.done; err != nil {
		t.Fatal(err)
	}
	want := []string{`POST /api/prompts/Q1 {"outcome":"given","text":"123456"}`, `POST /api/prompts/Q2 {"outcome":"declined"}`}
	if fmt.Sprint(a.asked) != fmt.Sprint(want) {
		t.Errorf("said %q", a.asked)
	}
	if fmt.Sprint(a.ready) != "[true false false]" || a.left != 3 {
		t.Errorf("the terminal was made ready %v, and given back %d times", a.ready, a.left)
	}
	if text := a.shown.String(); strings.ContainsAny(text, "\x1b\u202e") || strings.Contains(text, "123456") || !strings.Contains(text, "\nRequest: ABCDEF\n") {
		t.Errorf("%q", text)
	}
}

// Whoever ends their input has answered nothing; the stream's end declines.
func TestTheEndOfInputIsNoAnswer(t *testing.T) {
	a := newAsker(t)
	a.asks(t, "Q1", true)
	a.keys.Close()
	if err := <-a.done; err != nil || len(a.asked) > 0 || a.left != 1 {
		t.Errorf("%v, said %q, given back %d times", err, a.asked, a.left)
	}
}

// Attack, or bad luck: what was typed before a question was shown is taken for its answer.
func TestWhatWasTypedBeforeIsNoAnswer(t *testing.T) {
	p := newPerson("")
	p.Answering = func(bool) (func(), error) { return func() {}, nil }
	in := &typing{make(chan struct{}, 1), make(chan line, 1)}
	in.got <- line{text: "p"}
	go func() {
		<-in.want // another line is read
		in.got <- line{text: "a reason"}
	}()
	one := view.Prompt{Kind: view.PromptQuestion, ID: "Q1", Question: &dialog.Question{Text: "Why?"}}
	if _, err := p.answers(t.Context(), in, one, nil); err != nil || fmt.Sprint(p.asked) != `[POST /api/prompts/Q1 {"outcome":"given","text":"a reason"}]` {
		t.Errorf("%v, said %q", err, p.asked)
	}
}

// A terminal that cannot be made ready asks nothing: the request is denied at once.
func TestATerminalThatCannotAskDeclines(t *testing.T) {
	p := newPerson("")
	broken := errors.New("no such terminal")
	p.Answering = func(bool) (func(), error) { return nil, broken }
	one := view.Prompt{Kind: view.PromptQuestion, ID: "Q1", Question: &dialog.Question{Text: "Why?"}}
	if _, err := p.answers(t.Context(), nil, one, nil); !errors.Is(err, broken) || fmt.Sprint(p.asked) != `[POST /api/prompts/Q1 {"outcome":"unavailable"}]` || strings.Contains(p.out.String(), "Why?") {
		t.Errorf("%v, said %q, shown %q", err, p.asked, p.out.String())
	}
}

// Who may not be asked is told why, once; a service that is restarted is asked again.
func TestListening(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls, heardOf := 0, make(chan heard)
		answers := []error{errors.New("no service"), nil, &client.Refusal{Status: 503, Detail: "it starts"}, &client.Refusal{Status: 403, Detail: "this process has no terminal"}}
		go func() {
			defer close(heardOf)
			listens(t.Context(), streams(func(context.Context, string, func(string, []byte) error) error {
				calls++
				return answers[calls-1]
			}), heardOf)
		}()
		over := 0
		for h := range heardOf {
			switch {
			case h.refused != "":
				if over != 3 || h.refused != "this process has no terminal" {
					t.Errorf("after %d: %+v", over, h)
				}
			case h.Kind != view.PromptOver:
				t.Errorf("%+v", h)
			default:
				over++
			}
		}
		if calls != len(answers) {
			t.Errorf("asked %d times", calls)
		}
	})
}
