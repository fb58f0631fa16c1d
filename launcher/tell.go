package launcher

import (
	"context"
	"errors"
	"time"

	"kpm/core"
	"kpm/core/wire"
	"kpm/launcher/journal"
	"kpm/launcher/request"
)

// tell tells the person what is noted for them, before the next step. What a
// monitoring policy wants acknowledged is asked for, as long as that is possible: it
// changes nothing whether they do, but who interrupts it has interrupted their own
// command.
func (l *Launcher) tell(ctx context.Context, e *elevation, state request.State) {
	l.mu.Lock()
	notes := e.notes
	e.notes = nil
	l.mu.Unlock()
	for _, n := range notes {
		text := wire.Printable(n.Text)
		if !n.Acknowledge || state.Final() || e.submitted.NonInteractive || !e.submitted.Terminal {
			if err := e.caller.Tell(text); err != nil {
				return // they are gone: Elevate knows
			}
			continue
		}
		limits := l.limits()
		e.req.Extend(state, limits.Prompt+limits.Launch)
		_, err := e.caller.Prompt(ctx, Prompt{Text: text + " Press Enter to go on. "}, limits.Prompt)
		if err != nil {
			if !errors.Is(err, core.ErrCancelled) && !errors.Is(err, context.DeadlineExceeded) {
				return
			}
			continue
		}
		record := journal.Record{Type: journal.Acknowledged, Request: e.id, UserID: e.sealed.Subject.Caller.User, User: e.sealed.Subject.Caller.Name, Message: text}
		if err := l.cfg.Journal.Append(record); err != nil {
			l.cfg.Log.Error("what somebody has acknowledged is not in the journal", "request", e.id, "error", err)
		}
	}
}

// filterTime is how much longer a request is evaluated while filter jobs run.
const filterTime = 30 * time.Second

// FilterRuns is told when KeeperPolicy has a filter job run for a request, which may
// take 30 s then (decision 31). It is about nothing if there is no such request.
func (l *Launcher) FilterRuns(by core.Principal, id core.RequestID) {
	if !request.Policy.Is(by, "") {
		return
	}
	if e, err := l.find(id); err == nil {
		e.req.Extend(request.Evaluating, l.limits().Evaluate+filterTime)
	}
}
