package notices

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"kpm/core/dialog"
	"kpm/core/view"
	"kpm/core/wire"
)

// Path is where the API tells notices.
const Path = "/api/notices"

// Bounds of the wait before the service is asked again, which is published for its health
// check as 30 s at most.
const (
	firstWait = time.Second
	lastWait  = 30 * time.Second
)

// maxShown bounds how many notices are on the desktop at once; more wait.
const maxShown = 4

// ErrNoDesktop ends KeeperClient: there is nothing to show anything on.
var ErrNoDesktop = errors.New("the desktop can show no notices")

// Watch shows the notices that from tells, until ctx ends or the desktop can show nothing
// any more. A service that does not answer is asked again and again: it is restarted.
func Watch(ctx context.Context, from Service, show dialog.Show, after func(time.Duration) <-chan time.Time) error {
	ctx, end := context.WithCancelCause(ctx)
	s := &screen{show: show, end: end, free: make(chan struct{}, maxShown)}
	defer s.shown.Wait()
	defer end(nil)
	for wait := firstWait; ; wait = min(2*wait, lastWait) {
		_ = from.Stream(ctx, Path, func(_ string, data []byte) error { // why it ended does not matter
			wait = firstWait / 2
			return s.notice(ctx, data)
		})
		select {
		case <-after(wait):
		case <-ctx.Done():
			if cause := context.Cause(ctx); errors.Is(cause, ErrNoDesktop) {
				return cause
			}
			return nil
		}
	}
}

// screen shows notices beside each other: who reads one does not miss the next.
type screen struct {
	show  dialog.Show
	end   context.CancelCauseFunc
	free  chan struct{}
	shown sync.WaitGroup
}

func (s *screen) notice(ctx context.Context, data []byte) error {
	var one struct{ ID, Text string }
	if err := json.Unmarshal(data, &one); err != nil {
		return err
	}
	select {
	case s.free <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	s.shown.Go(func() {
		defer func() { <-s.free }()
		answer, err := s.show(ctx, dialog.Desktop{}, dialog.Question{Kind: dialog.KindNotice, Code: wire.PrintableLine(one.ID), Text: wire.PrintableLine(one.Text)})
		if err == nil && answer.Outcome == dialog.Unavailable {
			s.end(fmt.Errorf("%w: %s", ErrNoDesktop, wire.PrintableLine(answer.Text)))
		}
	})
	return nil
}

// describe is one grant in a line.
func describe(g *view.Grant) string {
	what := g.Command
	if what == "" {
		what = "what policy " + g.Policy.ID + " is about"
	}
	text := fmt.Sprintf("%s: %s as %s, for %s", g.ID, what, g.Target, time.Duration(g.SecondsLeft)*time.Second)
	if g.UsesLeft != nil {
		text += fmt.Sprintf(", %d times", *g.UsesLeft)
	}
	return text
}
