package jobs

import (
	"fmt"
	"log/slog"

	"kpm/core"
	"kpm/core/wire"
	"kpm/jobs/state"
)

// complete runs r to its end and tells everyone.
func (s *Service) complete(r *run) {
	defer s.idle.Done()
	err := r.execute(r.ctx)
	s.mu.Lock()
	delete(s.runs, r.principal.Run)
	s.turns.leave(r)
	s.dispatch()
	s.mu.Unlock()
	s.tell(r, err)
}

// tell says that a run has ended.
func (s *Service) tell(r *run, err error) {
	skipped := r.is(state.Skipped)
	done := wire.JobCompleted{
		JobID: r.job.id, RunID: r.principal.Run, RequestID: r.principal.Request, Event: r.trigger.Event,
		Succeeded: err == nil && !skipped, Skipped: skipped,
	}
	switch {
	case skipped:
		r.Log().Info("job skipped", "event", r.trigger.Event, "reason", err)
		done.Error = wire.PrintableLine(r.mask.text(err.Error()))
	case err != nil:
		done.Error = wire.PrintableLine(r.mask.text(err.Error()))
		r.Log().Warn("job failed", "event", r.trigger.Event, "error", done.Error)
	case s.cfg.Log.Enabled(r.ctx, slog.LevelDebug):
		r.Log().Debug("job ended", "event", r.trigger.Event)
	}
	if !skipped {
		as := r.principal
		if r.standsFor != "" {
			as.Name = r.standsFor
		}
		s.cfg.Facts.JobEnded(as, r.trigger.Event, err)
	}
	s.resolve(r.group, !skipped)
	s.cfg.Completed(done)
	close(r.done)
}

// Cancel ends a run that has no end yet: its program is killed with its launch group.
// Errors wrap ErrEnded, or are those of Read or of the history.
func (s *Service) Cancel(runID string, by core.Principal) error {
	s.mu.Lock()
	r := s.runs[runID]
	s.mu.Unlock()
	if r == nil {
		if err := s.first(); err != nil {
			return err
		}
		if _, err := s.history.Run(runID); err != nil {
			return err
		}
		return ErrEnded
	}
	s.stop(r, fmt.Errorf("cancelled by %s", by))
	return nil
}

// ErrEnded is returned for a run that cannot be cancelled any more.
var ErrEnded = core.NewError(core.Conflict, "the run has ended")

// stop ends a run, wherever it is.
func (s *Service) stop(r *run, why error) {
	r.cancel(why)
	s.mu.Lock()
	waited := s.turns.withdraw(r)
	if waited {
		delete(s.runs, r.principal.Run)
		s.dispatch()
	}
	s.mu.Unlock()
	if waited {
		_ = r.end(state.Cancel, why)
		s.tell(r, why)
	}
}
