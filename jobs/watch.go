package jobs

import (
	"context"
	"errors"
	"os"
	"strings"
	"time"

	"kpm/core/filewatch"
	"kpm/core/view"
	"kpm/jobs/state"
)

// No file may have changed for quiet before the files are read again: an editor or a
// deployment changes several, and each several times. At the latest it is after
// quietLimit.
const (
	quiet      = 250 * time.Millisecond
	quietLimit = 3 * time.Second
)

// Watch reads the job files again whenever they change, until ctx is done. Where changes
// cannot be noticed the log says so, and Reload is what remains.
func (s *Service) Watch(ctx context.Context) {
	dir := s.cfg.Layout.Jobs()
	err := os.MkdirAll(dir, 0o755)
	watch, watchErr := filewatch.New(filewatch.Files{Folders: func() []string { return []string{dir} }, Quiet: quiet, Limit: quietLimit, AtFirst: true})
	if err = errors.Join(err, watchErr); err != nil {
		s.cfg.Log.Warn("changes of job files are not noticed: reload them by hand", "directory", dir, "error", err)
	}
	if watchErr != nil {
		return
	}
	watch.Run(ctx, func() {
		switch changed, err := s.Reload(); {
		case err != nil:
			s.cfg.Log.Error("job files have changed and are as before", "error", err)
		case len(changed) > 0:
			s.cfg.Log.Warn("job files have changed", "jobs", changed)
		}
	})
}

// Resume deals with the runs that an earlier service did not bring to an end, which the
// history has marked: each is said, and one whose job says so (rerunIfInterrupted) runs
// again with what it began with. A run that acted for a request never does: that request
// has ended, too.
func (s *Service) Resume(cutOff []view.JobRun) {
	for _, old := range cutOff {
		s.cfg.Log.Warn("the service ended while a job was running", "job", old.JobID, "run", old.ID, "request", old.RequestID)
		j, ok := s.held().jobs[strings.ToLower(old.JobID)]
		if !ok || !j.rerun || j.disabled != "" || j.ownEvents() || old.RequestID != "" || old.State != string(state.Interrupted) {
			s.settle(old)
			continue
		}
		context, complete := unmasked(old.ContextIn)
		if !complete {
			s.cfg.Log.Error("a job is not run again: what it began with held secrets, which are not kept", "job", j.id, "run", old.ID)
			s.settle(old)
			continue
		}
		trigger := old.Trigger
		trigger.Kind = kindRerun
		if _, err := s.start(j, beginning{trigger: trigger, context: context, parent: old.ID}); err != nil {
			s.cfg.Log.Error("a job is not run again", "job", j.id, "run", old.ID, "error", err)
		}
	}
}

// settle says that nothing comes of a run that was cut off.
func (s *Service) settle(old view.JobRun) {
	if err := s.history.Settle(old.ID); err != nil {
		s.cfg.Log.Error("the history of jobs cannot be written", "run", old.ID, "error", err)
	}
}

// unmasked returns a context that was kept, and whether all of it was.
func unmasked(kept map[string]any) (map[string]any, bool) {
	for _, value := range kept {
		if value == masked || value == view.NotKept {
			return nil, false
		}
	}
	return kept, true
}
