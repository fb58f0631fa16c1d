package jobs

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"kpm/core"
	"kpm/core/view"
	"kpm/core/wire"
	"kpm/jobs/schedule"
	"kpm/jobs/state"
)

// Errors of Run.
var (
	ErrUnknown  = core.NewError(core.NotFound, "no such job")
	ErrDisabled = core.NewError(core.Conflict, "the job does not run")
	// ErrOwnEvents is for control and launch jobs (decision 12).
	ErrOwnEvents = core.NewError(core.NotPermitted, "the job starts from its own events only")
	ErrClosed    = core.NewError(core.Conflict, "the service is stopping")
	ErrChain     = core.NewError(core.Conflict, fmt.Sprintf("the run is the end of a chain of %d runs, each started by the one before", maxChain))
)

// maxChain bounds how long runs may start one another: two jobs that raise each
// other's events would go on for ever.
const maxChain = 32

// Kinds of trigger.
const (
	kindEvent     = "event"
	kindSchedule  = "schedule"
	kindManual    = "manual"
	kindEvaluate  = "evaluate"
	kindAlternate = "alternate"
	kindRerun     = "rerun"
)

// group is the runs that one event has started. What none of them takes up is
// unhandled. It is guarded by the service's lock.
type group struct {
	event   string
	request core.RequestID
	left    int
	handled bool
	begun   <-chan struct{} // of the run that was begun last
}

// Trigger starts every enabled job that names the event, higher priority
// first, and returns at once. The caller has checked that the event came from
// who may publish it (docs/wire.md, "Authority").
func (s *Service) Trigger(from core.Principal, e wire.Event) {
	b := beginning{
		trigger: view.JobTrigger{Kind: kindEvent, Event: e.Name, By: from.String()}, context: e.Context, own: from.Kind == core.Service,
		parent: from.Run, depth: s.depth(from),
	}
	if requestEvent(e.Name) {
		// Only the service publishes these. In any other event a RequestId
		// is a word like every other and gives the run no right.
		value, _ := text(e.Context["RequestId"])
		b.request = core.RequestID(value)
	}
	jobs := s.held().byEvent[e.Name]
	// One place more than there are runs, until all are started.
	b.group = &group{event: e.Name, request: b.request, left: len(jobs) + 1}
	for _, j := range jobs {
		if _, err := s.start(j, b); err != nil {
			if !errors.Is(err, errPrecedence) {
				s.cfg.Log.Error("job cannot be started", "job", j.id, "event", e.Name, "request", b.request, "error", err)
			}
			s.resolve(b.group, false)
		}
	}
	s.resolve(b.group, false)
}

// resolve takes one out of a group, and tells what nobody has handled.
func (s *Service) resolve(g *group, handled bool) {
	if g == nil {
		return
	}
	s.mu.Lock()
	g.left--
	g.handled = g.handled || handled
	unhandled := g.left == 0 && !g.handled
	s.mu.Unlock()
	if unhandled {
		s.cfg.Facts.EventUnhandled(g.event, g.request)
	}
}

// depth is how long the chain is that a run started by from is the end of.
func (s *Service) depth(from core.Principal) int {
	if r := s.live(from); r != nil {
		return r.depth + 1
	}
	return 0
}

// Run starts a job by name for by and returns the run's id without waiting for
// its end; by then the history has it. Errors wrap ErrUnknown, ErrDisabled, ErrOwnEvents, ErrParameters,
// ErrBusy, ErrChain or ErrClosed.
func (s *Service) Run(ctx context.Context, by core.Principal, id string, params map[string]any) (string, error) {
	r, err := s.run(ctx, id, beginning{
		trigger: view.JobTrigger{Kind: kindManual, By: by.String()}, context: params, parent: by.Run, depth: s.depth(by),
	})
	if err != nil {
		return "", err
	}
	r.accept()
	return r.principal.Run, nil
}

// Evaluate runs a job to its end with the context of a decision, as a policy's filter,
// and says whether it succeeded. Errors are those of Run, or ctx's.
func (s *Service) Evaluate(ctx context.Context, by core.Principal, id string, context map[string]any) (view.JobEvaluated, error) {
	r, err := s.run(ctx, id, beginning{
		trigger: view.JobTrigger{Kind: kindEvaluate, By: by.String()}, context: context, own: true, parent: by.Run, depth: s.depth(by),
	})
	if err != nil {
		return view.JobEvaluated{}, err
	}
	select {
	case <-r.done:
	case <-ctx.Done():
		_ = s.Cancel(r.principal.Run, by)
		return view.JobEvaluated{}, core.WithKind(core.Unavailable, fmt.Errorf("job %s: no answer in time: %w", id, ctx.Err()))
	}
	shown := r.shown()
	return view.JobEvaluated{RunID: shown.ID, Passed: shown.State == string(state.Succeeded), Reason: shown.Reason}, nil
}

func (s *Service) run(ctx context.Context, id string, b beginning) (*run, error) {
	c, key := s.held(), strings.ToLower(id)
	j, ok := c.jobs[key]
	err := ctx.Err()
	switch {
	case err != nil:
	case !ok && c.broken[key].ID != "":
		err = fmt.Errorf("%w: %s", ErrDisabled, c.broken[key].Detail)
	case !ok:
		err = ErrUnknown
	case j.disabled != "":
		err = fmt.Errorf("%w: %s", ErrDisabled, j.disabled)
	case j.ownEvents():
		err = ErrOwnEvents
	default:
		context := b.context
		if !b.own {
			context, _ = foreign(context)
		}
		err = j.check(newVars(context, j.parameters))
	}
	var r *run
	if err == nil {
		r, err = s.start(j, b)
	}
	if err != nil {
		return nil, fmt.Errorf("job %s: %w", id, err)
	}
	return r, nil
}

// due is told by the timer. It does not wait.
func (s *Service) due(f schedule.Fired) {
	j, ok := s.held().jobs[f.Job]
	if !ok || j.disabled != "" {
		return
	}
	_, err := s.start(j, beginning{trigger: view.JobTrigger{Kind: kindSchedule, DueAt: f.At.UTC()}, due: f.Remember})
	if err != nil && !errors.Is(err, errPrecedence) {
		s.cfg.Log.Error("job cannot be started", "job", j.id, "due", f.At, "error", err)
	}
}
