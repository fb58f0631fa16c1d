package agent

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"kpm/api/client"
	"kpm/core/dialog"
	"kpm/core/view"
	"kpm/core/wire"
)

// promptsPath is where the API asks, and is answered.
const promptsPath = "/api/prompts"

// Bounds of the wait before a service that does not answer is asked again.
const (
	firstWait = time.Second
	lastWait  = 30 * time.Second
)

// escape ends an answer that is none.
const escape = '\x1b'

// heard is what the service has said: a question, that one is over, or that it asks
// nothing here.
type heard struct {
	view.Prompt
	refused string
}

// listens tells what the service asks, until ctx ends or it says that it asks nothing
// here. A service that does not answer is asked again: it is restarted.
func listens(ctx context.Context, from streamer, to chan<- heard) {
	say := func(h heard) {
		select {
		case to <- h:
		case <-ctx.Done():
		}
	}
	for wait := firstWait; ctx.Err() == nil; wait = min(2*wait, lastWait) {
		err := from.Stream(ctx, promptsPath, func(_ string, data []byte) error {
			wait = firstWait / 2
			var one view.Prompt
			if err := json.Unmarshal(data, &one); err != nil {
				return err
			}
			say(heard{Prompt: one})
			return nil
		})
		var refused *client.Refusal
		if errors.As(err, &refused) && refused.Status < http.StatusInternalServerError {
			say(heard{refused: refused.Detail})
			return
		}
		say(heard{Prompt: view.Prompt{Kind: view.PromptOver}}) // whatever was asked
		select {
		case <-time.After(wait):
		case <-ctx.Done():
		}
	}
}

// typing reads lines one by one, each when somebody wants it: what is typed to another
// program that has the terminal meanwhile is that one's.
type typing struct {
	want chan struct{}
	got  chan line
}

type line struct {
	text string
	err  error // io.EOF at the end
}

// typing of r ends when stop is called, or with the program while a line is awaited.
func newTyping(r io.Reader) (in *typing, stop func()) {
	in = &typing{make(chan struct{}, 1), make(chan line, 1)}
	go func() {
		lines := bufio.NewScanner(r)
		lines.Buffer(make([]byte, 0, maxLine), maxLine)
		lines.Split(untilEnd)
		for range in.want {
			if lines.Scan() {
				in.got <- line{text: lines.Text()}
			} else {
				in.got <- line{err: cmp.Or(lines.Err(), io.EOF)}
			}
		}
	}()
	return in, func() { close(in.want) }
}

// next is the next line that is none of an answer; what is asked meanwhile is answered.
// After each question whatever again shows is shown again.
func (a *agent) next(ctx context.Context, in *typing, from <-chan heard, again string) (string, error) {
	if err := a.print("%s", again); err != nil {
		return "", err
	}
	in.want <- struct{}{}
	for {
		var h heard
		select {
		case l := <-in.got:
			return l.text, l.err
		case h = <-from:
		case <-ctx.Done():
			return "", ctx.Err()
		}
		switch {
		case h.refused != "":
			if err := errors.Join(a.print("\n"), a.tellRefused(h)); err != nil {
				return "", err
			}
		case h.Kind != view.PromptQuestion || h.Question == nil:
			continue // that nothing is asked is so already
		}
		for next := &h; next != nil && next.Kind == view.PromptQuestion && next.Question != nil; {
			var err error
			if next, err = a.answers(ctx, in, next.Prompt, from); err != nil {
				return "", err
			}
		}
		if err := a.print("%s", again); err != nil {
			return "", err
		}
	}
}

// answers shows one question and hands the answer on, which is the line that in is reading.
// It returns the question that has come in its place, if one has, and an error if there is
// nobody to ask any more: what was asked is declined then, since the stream ends.
func (a *agent) answers(ctx context.Context, in *typing, one view.Prompt, from <-chan heard) (next *heard, err error) {
	q := one.Question
	ready, err := a.Answering(q.Secret)
	if err != nil {
		return nil, errors.Join(err, a.say(ctx, one.ID, dialog.Answer{Outcome: dialog.Unavailable}))
	}
	defer ready()
	select {
	case l := <-in.got: // it was typed before the question was there
		if l.err != nil {
			return nil, l.err
		}
		in.want <- struct{}{}
	default:
	}
	lines := q.Lines()
	for i := range lines {
		lines[i] = wire.PrintableLine(lines[i])
	}
	if err := a.print("\n%s (Escape refuses) ", strings.Join(lines, "\n")); err != nil {
		return nil, err
	}
	select {
	case l := <-in.got:
		if l.err != nil {
			return nil, l.err
		}
		answer := dialog.Answer{Outcome: dialog.Given, Text: l.text}
		if strings.HasSuffix(l.text, string(escape)) {
			answer = dialog.Answer{Outcome: dialog.Declined}
		}
		in.want <- struct{}{}
		return nil, errors.Join(a.print("\n"), a.say(ctx, one.ID, answer))
	case h := <-from:
		return &h, a.print("\nThis question is over.\n")
	case <-ctx.Done():
		return nil, errors.Join(ctx.Err(), a.print("\n"))
	}
}

// say hands an answer to the service. One that comes too late changes nothing.
func (a *agent) say(ctx context.Context, id string, answer dialog.Answer) error {
	body, err := json.Marshal(answer)
	if err != nil {
		return err
	}
	_, err = a.to.Call(ctx, http.MethodPost, promptsPath+"/"+url.PathEscape(id), body)
	var refused *client.Refusal
	if errors.As(err, &refused) {
		return a.print("%s\n", wire.PrintableLine(refused.Detail))
	}
	return err
}

// untilEnd splits input into lines, and ends one where a terminal has ended it by Escape,
// which is kept. At the end of the input what is left is a line.
func untilEnd(data []byte, atEOF bool) (advance int, token []byte, err error) {
	if i := bytes.IndexByte(data, '\n'); i >= 0 {
		return i + 1, bytes.TrimSuffix(data[:i], []byte("\r")), nil
	}
	if n := len(data); n > 0 && (atEOF || data[n-1] == escape) {
		return n, data, nil
	}
	return 0, nil, nil
}
