package jobs

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"kpm/core"
	"kpm/core/view"
	"kpm/jobs/schedule"
	"kpm/jobs/state"
	"kpm/jobs/task"
)

// maxSteps bounds the tasks that one run executes, skipped ones included:
// routes can go back.
const maxSteps = 1000

var errSteps = fmt.Errorf("the run has taken %d steps; its OnSuccess and OnFailure routes go in a circle", maxSteps)

// run is one execution of a job. It belongs to one goroutine, but for what its lock
// guards.
type run struct {
	beginning
	service   *Service
	job       *job
	key       string // the job's id, folded
	order     uint64 // in which runs came (turns)
	bytes     int    // of its context, once somebody asked (turns)
	principal core.Principal
	token     string      // the secret of KEEPER_JOB_TOKEN
	taken     view.JobRun // as it was when it was taken in
	vars      *vars
	mask      *mask
	local     http.RoundTripper // made when first needed
	report    task.Report       // of the task under way

	ctx    context.Context
	cancel context.CancelCauseFunc
	// follows is closed when the run that its event has begun before it is under way, or
	// the run that it stands in for has ended; begun when it is under way itself. nil if
	// there is none.
	follows <-chan struct{}
	begun   chan struct{}
	done    chan struct{} // closed when everyone was told of its end

	mu        sync.Mutex
	record    view.JobRun
	followers map[chan view.JobRunEvent]bool
}

var _ task.Run = (*run)(nil)

// size is what r's context takes, in bytes.
func (r *run) size() int {
	if r.bytes == 0 {
		data, _ := json.Marshal(r.context) // what cannot be encoded takes nothing
		r.bytes = len(data) + 1
	}
	return r.bytes
}

// execute takes r from its beginning to its end. The error says why it failed, or was
// skipped.
func (r *run) execute(ctx context.Context) error {
	defer r.cancel(nil)
	began := r.began()
	defer began()
	if ctx.Err() != nil {
		return r.end(state.Cancel, context.Cause(ctx))
	}
	if err := r.job.check(r.vars); err != nil {
		return r.end(state.Fail, err)
	}
	if met, why := r.job.condition.Met(r.lookup); !met {
		began()
		return r.passOver(why)
	}
	r.move(state.Begin, "")
	began()
	if err := r.keep(r.save()); err != nil {
		// That it runs matters more: an elevation may wait for it.
		r.Log().Error("a run is not in the history", "error", err)
	}
	err := r.tasks(ctx)
	switch {
	case ctx.Err() != nil:
		return r.end(state.Cancel, context.Cause(ctx))
	case err != nil:
		return r.end(state.Fail, err)
	}
	_ = r.end(state.Finish, nil)
	return nil
}

// began says, once, that r is under way or will never be.
func (r *run) began() func() {
	return sync.OnceFunc(func() {
		if r.begun != nil {
			close(r.begun)
		}
	})
}

// wait lets those come first that its event has begun before it, for their higher
// priority, or that it stands in for.
func (r *run) wait() {
	if r.follows == nil {
		return
	}
	select {
	case <-r.follows:
	case <-r.ctx.Done():
	}
}

// save is how r is kept. A run for a request does not wait for that: somebody waits for
// the request, and the journal is what has it in any case. Nor does one that ends before
// its beginning: the clock may be what has ended it, and others wait for that.
func (r *run) save() func(view.JobRun, ...schedule.Due) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.principal.Request != "" || r.record.StartedAt.IsZero() {
		return r.service.history.Note
	}
	return r.service.history.Save
}

// keep writes r as it is now, the first time with what its schedule is to remember.
func (r *run) keep(save func(view.JobRun, ...schedule.Due) error) error {
	shown := r.shown()
	r.mu.Lock()
	due := r.due
	r.due = nil
	r.mu.Unlock()
	return save(shown, due...)
}

// errCondition is why a run is skipped.
var errCondition = core.NewError(core.Conflict, "its condition is not met")

// passOver ends r without a task, and starts the job's alternate if there is one.
func (r *run) passOver(why string) error {
	err := fmt.Errorf("%w: %s", errCondition, why)
	if r.job.alternate == "" {
		return r.end(state.Skip, err)
	}
	c := r.service.held()
	j := c.jobs[strings.ToLower(r.job.alternate)]
	if j == nil || j.disabled != "" {
		return r.end(state.Skip, fmt.Errorf("%w; its alternate %s does not run either", err, r.job.alternate))
	}
	passed := make(chan struct{}) // when the history has what became of r
	defer close(passed)
	b := r.beginning
	b.trigger.Kind, b.parent, b.depth, b.due, b.after = kindAlternate, r.principal.Run, b.depth+1, nil, passed
	if b.standsFor == "" {
		b.standsFor = r.job.id
	}
	if b.group != nil {
		r.service.mu.Lock()
		b.group.left++
		r.service.mu.Unlock()
	}
	other, startErr := r.service.start(j, b)
	if startErr != nil {
		r.service.resolve(b.group, false)
		return r.end(state.Skip, fmt.Errorf("%w; its alternate %s cannot be started: %w", err, j.id, startErr))
	}
	return r.end(state.Skip, fmt.Errorf("%w; its alternate %s runs as %s", err, j.id, other.principal.Run))
}

// tasks goes through the list (docs/architecture-published.md, "Job Execution Flow (high
// level)"). What follows a task is package state's table.
func (r *run) tasks(ctx context.Context) error {
	i := 0
	var handled error // why tasks run that a failure has led to
	for number := 1; i >= 0 && i < len(r.job.tasks); number++ {
		if number > maxSteps {
			return errSteps
		}
		t := r.job.tasks[i]
		outcome, err := r.step(ctx, number, t)
		if ctx.Err() != nil {
			return err
		}
		to := t.onSuccess
		if outcome == state.TaskFailed {
			err = fmt.Errorf("task %s: %w", t.id, err)
			if to = t.onFailure; to >= 0 {
				handled = err
			}
		}
		switch state.Follows(outcome, route(to), t.continueOnFailure) {
		case state.Next:
			i++
		case state.Follow:
			i = to
		case state.EndWell:
			return nil
		case state.EndBadly:
			if to == routeFail {
				return cmp.Or(handled, err, fmt.Errorf("task %s leads to fail", t.id))
			}
			return err
		}
		if err != nil {
			r.Log().Info("task failed; the job goes on", "task", t.id, "error", r.mask.text(err.Error()))
		}
	}
	return nil
}

// route is how package state calls where a task leads.
func route(to int) state.Route {
	switch to {
	case routeNext:
		return state.NoRoute
	case routeStop:
		return state.ToStop
	case routeFail:
		return state.ToFail
	}
	return state.ToTask
}

// step skips or runs one task, and records it.
func (r *run) step(ctx context.Context, number int, t *step) (state.Outcome, error) {
	record := view.TaskRun{Number: number, TaskID: t.id, Name: t.name, Type: t.kind, State: "running", StartedAt: time.Now().UTC()}
	if met, why := t.condition.Met(r.lookup); !met {
		return r.skipped(record, "its condition is not met: "+why), nil
	}
	skip, err := r.skips(t)
	if skip {
		if err := r.learn(t, t.whenSkipped); err != nil {
			return r.ended(record, err), err
		}
		return r.skipped(record, "setting "+t.skipKey+" of plugin "+t.skipPlugin+" is not true"), nil
	}
	r.tell(record)
	if err == nil {
		record.Attempts, err = r.perform(ctx, t)
	}
	return r.ended(record, err), err
}

func (r *run) skipped(record view.TaskRun, why string) state.Outcome {
	record.State, record.Reason, record.EndedAt = string(state.TaskSkipped), r.mask.text(why), record.StartedAt
	r.tell(record)
	return state.TaskSkipped
}

func (r *run) ended(record view.TaskRun, err error) state.Outcome {
	outcome := state.TaskSucceeded
	if err != nil {
		outcome, record.Reason = state.TaskFailed, r.mask.text(err.Error())
	}
	record.State, record.EndedAt = string(outcome), time.Now().UTC()
	record.Output, record.ErrorOutput, record.Cut = r.mask.text(r.report.Output), r.mask.text(r.report.ErrorOutput), r.report.Cut
	if exit := r.report.Exit; exit != nil {
		record.ExitCode, record.Signal = &exit.Code, exit.Signal
	}
	r.tell(record)
	return outcome
}

// skips reports whether a plugin setting says to skip t. A value that is neither
// true nor false is a fault of t: to guess would skip a check that its author
// wants, or run one that is off.
func (r *run) skips(t *step) (skip bool, err error) {
	if t.skipPlugin == "" {
		return false, nil
	}
	value, ok := r.service.cfg.Setting(t.skipPlugin, t.skipKey)
	switch {
	case !ok || strings.EqualFold(value, "false"):
		return true, nil
	case strings.EqualFold(value, "true"):
		return false, nil
	}
	return false, fmt.Errorf("SkipWhenPluginSettingFalse: setting %s of plugin %s is %q, expected true or false", t.skipKey, t.skipPlugin, value)
}

// perform runs one task, as often as its file says, and returns how often it was tried.
func (r *run) perform(ctx context.Context, t *step) (tries int, err error) {
	for tries = 1; ; tries++ {
		if err = r.try(ctx, t); err == nil || tries >= t.retry.attempts || ctx.Err() != nil {
			return tries, err
		}
		wait := t.retry.before(tries + 1)
		r.Log().Info("task failed and is tried again", "task", t.id, "try", tries, "after", wait, "error", r.mask.text(err.Error()))
		pause := time.NewTimer(wait)
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return tries, err
		}
	}
}

// try runs one task within its time.
func (r *run) try(ctx context.Context, t *step) error {
	r.report = task.Report{}
	limited, cancel := context.WithTimeout(ctx, t.timeout)
	defer cancel()
	found, err := t.task.Run(limited, r)
	if !t.merge {
		found = nil
	}
	if err != nil && ctx.Err() == nil && errors.Is(limited.Err(), context.DeadlineExceeded) {
		err = fmt.Errorf("it did not end within %v: %w", t.timeout, err)
	}
	return errors.Join(err, r.learn(t, found))
}

func (r *run) learn(t *step, found map[string]any) error {
	refused, err := r.vars.learn(found)
	r.mask.learn(found)
	if len(refused) > 0 {
		r.Log().Warn("a task may not change what the service says", "task", t.id, "names", refused)
	}
	return err
}

// lookup is the context for conditions.
func (r *run) lookup(name string) (any, bool) {
	if value, ok := r.vars.get(name); ok {
		return value, true
	}
	value, err := r.Value(name)
	return value, err == nil
}

// Principal is who the run's tasks act as.
func (r *run) Principal() core.Principal { return r.principal }

// Log is for what is to be said of the run: of most, nothing.
func (r *run) Log() *slog.Logger {
	return r.service.cfg.Log.With("job", r.job.id, "run", r.principal.Run, "request", r.request)
}

// Report implements task.Run.
func (r *run) Report(report task.Report) { r.report = report }

// Local reaches the local API as the run.
func (r *run) Local() http.RoundTripper {
	if r.local == nil {
		r.local = r.service.cfg.LocalTransport(r.principal)
	}
	return r.local
}
