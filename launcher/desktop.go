package launcher

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"kpm/core"
	"kpm/core/dialog"
	"kpm/core/wire"
	"kpm/launcher/request"
)

// Where a person is asked, as events say it (AskOn).
const (
	askAtTerminal = "terminal"
	askOnDesktop  = "desktop"
)

// askOn says where the person who made a request is asked. Without a terminal nobody
// can be asked there, and whoever has one may prefer their desktop; only one that a
// person of that name is logged in at will do.
//
// Attack: a coding agent has no terminal, and asks again and again until something is
// typed into it. What is asked on the desktop crosses none of its descriptors.
func (l *Launcher) askOn(e *elevation) string {
	s := e.submitted
	if s.NonInteractive || s.Terminal && !s.Desktop {
		return askAtTerminal
	}
	if _, there := l.desktop(e); !there {
		return askAtTerminal
	}
	return askOnDesktop
}

// desktop is the session that shows windows to whoever made a request.
func (l *Launcher) desktop(e *elevation) (core.SessionID, bool) {
	if l.cfg.Desktop == nil {
		return "", false
	}
	return l.cfg.Desktop(e.sealed.Subject.Caller.User, l.session(e))
}

// errUnseen is why a control is not collected on a desktop. The request stays as it is:
// it can be asked for in another way.
var errUnseen = core.NewError(core.Unavailable, "the desktop cannot ask")

// onDesktop asks whoever made a request by dialogs, one for each question.
func (l *Launcher) onDesktop(e *elevation, name core.Control, show dialog.Show) func(context.Context, Prompt) (string, error) {
	return func(ctx context.Context, p Prompt) (string, error) {
		session, there := l.desktop(e)
		if !there {
			return "", fmt.Errorf("%w: you are not logged in on one", errUnseen)
		}
		return l.shows(ctx, e, "session/"+string(session), func(ctx context.Context) (dialog.Answer, error) {
			if err := e.caller.Tell("request " + e.id.Code() + ": answer the question on your desktop"); err != nil {
				return dialog.Answer{}, err
			}
			answer, err := show(ctx, dialog.Desktop{User: e.sealed.Subject.Caller.Name, Session: session}, l.shown(e, name, p))
			switch {
			case err != nil:
				err = fmt.Errorf("%w: %w", errUnseen, err)
			case answer.Outcome == dialog.Unavailable:
				err = fmt.Errorf("%w: %s", errUnseen, wire.Printable(answer.Text))
			}
			return answer, err
		})
	}
}

// shows asks whoever made a request, for as long as that waits, when place is theirs.
func (l *Launcher) shows(ctx context.Context, e *elevation, place string, ask func(context.Context) (dialog.Answer, error)) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, l.limits().Prompt)
	var watching sync.WaitGroup
	defer watching.Wait()
	defer cancel()
	watching.Go(func() { whilePending(ctx, e.req, cancel) })

	leave, err := l.desks.take(ctx, place)
	if err != nil {
		return "", fmt.Errorf("another question is asked there: %w", err)
	}
	defer leave()
	answer, err := ask(ctx)
	switch {
	case ctx.Err() != nil:
		return "", fmt.Errorf("dialog: %w", ctx.Err())
	case err != nil:
		return "", err
	case answer.Outcome == dialog.Given:
		return answer.Text, nil
	}
	return "", core.ErrCancelled
}

// whilePending ends what is asked for a request that nobody has to be asked for any
// more. It returns when ctx has ended.
func whilePending(ctx context.Context, r *request.Request, end context.CancelFunc) {
	for {
		state, _, changed := r.View()
		if state != request.Pending {
			end()
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}

// shown is what a dialog shows of a request.
func (l *Launcher) shown(e *elevation, name core.Control, p Prompt) dialog.Question {
	program, line := l.programAndLine(e)
	q := dialog.Question{
		Kind: dialog.KindReason, Code: e.id.Code(), Program: atMost(program), Target: wire.Escaped(e.sealed.Subject.Target.Name), CommandLine: line,
		Directory: atMost(wire.Escaped(e.sealed.Subject.Dir)), Text: cmp.Or(p.Short, p.Text), Secret: p.Secret,
	}
	switch {
	case name == core.ControlApproval:
		q.Kind = dialog.KindRequest
	case p.Secret:
		q.Kind = dialog.KindCode
	}
	if by := e.origin.By; by != core.ByUnknown && by != core.ByTerminal && by != core.ByDesktop {
		q.Behind = wire.Printable(e.origin.String())
	}
	return q
}

// unseen is what a refusal says besides if the person could not be asked on their
// desktop, or anywhere.
func (l *Launcher) unseen(e *elevation) (text string) {
	unasked := false
	l.note(e, func() { text, unasked = e.unseen, e.unasked })
	if text != "" {
		text = "; you could not be asked on your desktop: " + text
	}
	if unasked {
		text += "; there is no terminal here: to be asked, run keeperAgent --approval in another terminal, and ask again"
	}
	return text
}

// noteUnseen remembers why nobody was asked on the desktop.
func (l *Launcher) noteUnseen(e *elevation, err error) {
	if !errors.Is(err, errUnseen) {
		return
	}
	text := strings.TrimPrefix(wire.PrintableLine(err.Error()), errUnseen.Error()+": ")
	l.note(e, func() { e.unseen = text })
	l.cfg.Log.Warn("a person cannot be asked on their desktop", "request", e.id, "user", e.sealed.Subject.Caller.Name, "error", text)
}

// desks lets one question at a time be in each place: a desktop, or the terminals at
// which keeperAgent asks a person.
//
// Attack: while a person enters a code for one request, another one's dialog takes the
// keyboard, and has it.
type desks struct {
	mu    sync.Mutex
	turns map[string]*desk
}

type desk struct {
	turn chan struct{} // has room for one
	here int           // who has the turn, or waits for it
}

// take waits for the turn, or for the end of ctx.
func (d *desks) take(ctx context.Context, place string) (leave func(), err error) {
	d.mu.Lock()
	if d.turns == nil {
		d.turns = map[string]*desk{}
	}
	at := d.turns[place]
	if at == nil {
		at = &desk{turn: make(chan struct{}, 1)}
		d.turns[place] = at
	}
	at.here++
	d.mu.Unlock()
	gone := func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		if at.here--; at.here == 0 {
			delete(d.turns, place)
		}
	}
	select {
	case at.turn <- struct{}{}:
		return func() { <-at.turn; gone() }, nil
	case <-ctx.Done():
		gone()
		return nil, ctx.Err()
	}
}
