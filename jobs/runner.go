package jobs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"

	"kpm/core"
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
		skip, err := r.gate(t)
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

// gate reports whether a plugin setting says to skip t. A value that is neither
// true nor false is a fault of t: to guess would skip a check that its author
// wants, or run one that is off.
func (r *run) gate(t *task) (skip bool, err error) {
	if t.gatePlugin == "" {
		return false, nil
	}
	value, ok := r.service.cfg.Setting(t.gatePlugin, t.gateKey)
	switch {
	case !ok || strings.EqualFold(value, "false"):
		return true, nil
	case strings.EqualFold(value, "true"):
		return false, nil
	}
	return false, fmt.Errorf("SkipWhenPluginSettingFalse: setting %s of plugin %s is %q, expected true or false", t.gateKey, t.gatePlugin, value)
}

// perform runs one task within its time.
func (r *run) perform(ctx context.Context, t *task) error {
	limited, cancel := context.WithTimeout(ctx, t.timeout)
	defer cancel()
	found, err := t.action.do(limited, r)
	if err != nil && ctx.Err() == nil && errors.Is(limited.Err(), context.DeadlineExceeded) {
		err = fmt.Errorf("it did not end within %v: %w", t.timeout, err)
	}
	return errors.Join(err, r.learn(t, found))
}

func (r *run) learn(t *task, found map[string]any) error {
	refused, err := r.vars.learn(found)
	if len(refused) > 0 {
		r.log.Warn("task may not change what the run was started with", "task", t.id, "names", refused)
	}
	return err
}

func (r *run) localTransport() http.RoundTripper {
	if r.local == nil {
		r.local = r.service.cfg.LocalTransport(r.principal)
	}
	return r.local
}
