package jobs

import (
	"errors"
	"time"

	"kpm/core/view"
	"kpm/core/wire"
	"kpm/jobs/state"
)

// move takes r to the state that follows by cause, and tells those who follow it. A
// cause that nothing follows by is a fault of this package.
func (r *run) move(cause state.Cause, reason string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	next, ok := state.After(state.State(r.record.State), cause)
	if !ok {
		r.Log().Error("a run was moved where it cannot go", "from", r.record.State, "cause", cause)
		return
	}
	now := time.Now().UTC()
	r.record.State, r.record.Reason = string(next), reason
	switch {
	case next == state.Running:
		r.record.StartedAt = now
	case next.Final():
		r.record.EndedAt = now
		r.service.ended.Add(next)
		r.service.took.Observe(now.Sub(r.record.CreatedAt))
		r.record.ContextOut = r.mask.object(r.vars.learned, r.vars.names)
	}
	shown := r.record
	r.send(view.JobRunEvent{Kind: "run", Run: &shown})
}

// end moves r to its end, keeps it and returns why.
func (r *run) end(cause state.Cause, why error) error {
	reason := ""
	if why != nil {
		reason = wire.PrintableLine(r.mask.text(why.Error()))
	}
	r.move(cause, reason)
	if err := r.keep(r.save()); err != nil {
		r.Log().Error("the end of a run is not in the history", "error", err)
	}
	r.mu.Lock()
	for follower := range r.followers {
		close(follower)
	}
	r.followers = nil
	r.mu.Unlock()
	return why
}

// refused records a run that was not taken in.
func (r *run) refused(why error) {
	cause := state.Fail
	if errors.Is(why, errPrecedence) {
		cause = state.Skip
	}
	r.cancel(nil)
	r.move(cause, why.Error())
	r.note()
}

// note keeps r as it is, without waiting for that.
func (r *run) note() {
	if err := r.keep(r.service.history.Note); err != nil {
		r.Log().Error("a run is not in the history", "error", err)
	}
}

// accept keeps that r was taken in, before whoever asked is told so: killed in between,
// the service would have lost a run that somebody counts on. What the history has of r by
// then stays.
func (r *run) accept() {
	if err := r.service.history.Save(r.taken); err != nil {
		r.Log().Error("a run is not in the history", "error", err)
	}
}

// tell keeps a task as it is, and tells those who follow r.
func (r *run) tell(record view.TaskRun) {
	r.mu.Lock()
	if n := len(r.record.Tasks); n > 0 && r.record.Tasks[n-1].Number == record.Number {
		r.record.Tasks[n-1] = record
	} else {
		if r.record.Tasks == nil {
			r.record.Tasks = make([]view.TaskRun, 0, len(r.job.tasks))
		}
		r.record.Tasks = append(r.record.Tasks, record)
	}
	r.send(view.JobRunEvent{Kind: "task", Task: &record})
	r.mu.Unlock()
	save := r.service.history.SaveTask
	if r.principal.Request != "" { // as the run itself
		save = r.service.history.NoteTask
	}
	if err := save(r.principal.Run, record); err != nil {
		r.Log().Error("a task is not in the history", "task", record.TaskID, "error", err)
	}
}

// shown is r as it is now.
func (r *run) shown() view.JobRun {
	r.mu.Lock()
	defer r.mu.Unlock()
	shown := r.record
	shown.Tasks = append([]view.TaskRun(nil), r.record.Tasks...)
	return shown
}

func (r *run) is(s state.State) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.record.State == string(s)
}

// maxBehind is how many events one who follows a run may be behind before it is cut
// off: a run waits for nobody who watches.
const maxBehind = 1024

// send is called with the lock held.
func (r *run) send(e view.JobRunEvent) {
	for follower := range r.followers {
		select {
		case follower <- e:
		default:
			delete(r.followers, follower)
			close(follower)
		}
	}
}

// Follow returns what has happened in a run so far, and what happens from now on until
// it ends or stop is called; then the channel is closed. Errors may be those of the
// history, or of Read.
func (s *Service) Follow(runID string) (so []view.JobRunEvent, events <-chan view.JobRunEvent, stop func(), err error) {
	s.mu.Lock()
	r := s.runs[runID]
	s.mu.Unlock()
	if r != nil {
		if so, events, stop := r.follow(); events != nil {
			return so, events, stop, nil
		}
	}
	run, err := s.RunDetail(runID)
	if err != nil {
		return nil, nil, nil, err
	}
	over := make(chan view.JobRunEvent)
	close(over)
	return eventsOf(run), over, func() {}, nil
}

// follow is Follow for a run that has no end yet; events is nil if it has.
func (r *run) follow() (so []view.JobRunEvent, events <-chan view.JobRunEvent, stop func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if state.State(r.record.State).Final() {
		return nil, nil, nil
	}
	follower := make(chan view.JobRunEvent, maxBehind)
	if r.followers == nil {
		r.followers = map[chan view.JobRunEvent]bool{}
	}
	r.followers[follower] = true
	return eventsOf(r.record), follower, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.followers[follower] {
			delete(r.followers, follower)
			close(follower)
		}
	}
}

// eventsOf is a run so far, as those who followed it have been told.
func eventsOf(run view.JobRun) []view.JobRunEvent {
	list := make([]view.JobRunEvent, 0, len(run.Tasks)+1)
	for _, t := range run.Tasks {
		list = append(list, view.JobRunEvent{Kind: "task", Task: &t})
	}
	run.Tasks = nil
	return append(list, view.JobRunEvent{Kind: "run", Run: &run})
}

// RunDetail returns a run with its tasks. Errors may be those of the history, or of Read.
func (s *Service) RunDetail(runID string) (view.JobRun, error) {
	s.mu.Lock()
	r := s.runs[runID]
	s.mu.Unlock()
	if r != nil {
		return r.shown(), nil
	}
	if err := s.first(); err != nil {
		return view.JobRun{}, err
	}
	return s.history.Run(runID)
}

// Runs returns a page of the history.
func (s *Service) Runs(f view.JobRunFilter) (view.JobRuns, error) {
	if err := s.first(); err != nil {
		return view.JobRuns{}, err
	}
	return s.history.Runs(f)
}
