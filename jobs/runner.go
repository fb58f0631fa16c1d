package jobs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"

	"kpm/core"
	"kpm/jobs/task"
)

// maxSteps bounds the tasks that one run executes, skipped ones included:
// routes can go back.
const maxSteps = 1000

var errSteps = fmt.Errorf("the run has taken %d steps; its OnSuccess and OnFailure routes go in a circle", maxSteps)

// run is one execution of a job. It belongs to one goroutine.
type run struct {
	service   *Service
	job       *job
	principal core.Principal
	token     string // the secret of KEEPER_JOB_TOKEN
	event     string // empty when started by name
	vars      *vars
	log       *slog.Logger
	local     http.RoundTripper // made when first needed
}

var _ task.Run = (*run)(nil)

// execute runs the tasks (docs/architecture-published.md, "Job Execution Flow (high level)").
func (r *run) execute(ctx context.Context) error {
	if err := r.job.check(r.vars); err != nil {
		return err
	}
	i := 0
	for step := 0; i >= 0 && i < len(r.job.tasks); step++ {
		if step == maxSteps {
			return errSteps
		}
		t := r.job.tasks[i]
		next := i + 1
		skip, err := r.skips(t)
		if skip {
			// A skipped task is followed by the next in the list, always.
			if err := r.learn(t, t.whenSkipped); err != nil {
				return err
			}
			i = next
			continue
		}
		if err == nil {
			err = r.perform(ctx, t)
		}
		route := t.onSuccess
		if err != nil {
			err = fmt.Errorf("task %s: %w", t.id, err)
			if ctx.Err() != nil {
				return err
			}
			route = t.onFailure
			if route == routeStop || route == routeNext && !t.continueOnFailure {
				return err
			}
			r.log.Info("task failed; the job goes on", "task", t.id, "error", err)
		}
		switch route {
		case routeStop:
			return nil
		case routeNext:
			i = next
		default:
			i = route
		}
	}
	return nil
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

// perform runs one task within its time.
func (r *run) perform(ctx context.Context, t *step) error {
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
	if len(refused) > 0 {
		r.log.Warn("task may not change what the run was started with", "task", t.id, "names", refused)
	}
	return err
}

// Principal is who the run's tasks act as.
func (r *run) Principal() core.Principal { return r.principal }

// Log is for what the run's tasks have to say.
func (r *run) Log() *slog.Logger { return r.log }

// Local reaches the local API as the run.
func (r *run) Local() http.RoundTripper {
	if r.local == nil {
		r.local = r.service.cfg.LocalTransport(r.principal)
	}
	return r.local
}
