package api

import (
	"context"
	"errors"
	"net/http"

	"kpm/core"
	"kpm/core/wire"
)

// Job is one job as the API shows it.
type Job struct {
	ID          string `json:"id"`
	Name        string `json:"name"`
	Description string `json:"description,omitempty"`
	Enabled     bool   `json:"enabled"`
	// AllowPluginTrigger lets tier Plugin run the job (decision 12).
	AllowPluginTrigger bool `json:"allowPluginTrigger"`
	// OwnEventsOnly is true for control, launch, grant and account jobs:
	// nobody can run them by name.
	OwnEventsOnly bool `json:"ownEventsOnly"`
	// Detail says why a job is disabled; empty if there is nothing to say.
	Detail string `json:"detail,omitempty"`
}

// Errors that Jobs.Run wraps. Their texts are shown to the caller.
var (
	ErrUnknownJob = errors.New("no such job")
	ErrJobState   = errors.New("the job cannot run now")
	ErrParameters = errors.New("the job does not take these parameters")
)

// Jobs knows the jobs.
type Jobs interface {
	// List returns every registered job, broken ones too, by id.
	List() []Job
	// Run starts a job and returns the run's id without waiting for its end.
	// Errors wrap ErrUnknownJob, ErrJobState or ErrParameters.
	Run(ctx context.Context, id string, params map[string]any) (runID string, err error)
	// Allowed reports whether the allow list of the run's job file names this
	// request (decision 16).
	Allowed(run core.Principal, method, path string) bool
}

func (s *Server) listJobs(*call) (any, error) {
	return append([]Job{}, s.cfg.Jobs.List()...), nil // never null
}

type runStarted struct {
	RunID string `json:"runId"`
}

// runJob starts a job for an administrator, or for a plugin if the job says
// so. The body, if any, becomes the run's parameters.
func (s *Server) runJob(c *call) (any, error) {
	id := c.values["id"]
	job, ok := s.job(id)
	switch {
	case !ok:
		return nil, unknownJob(id)
	case !c.granted && c.who.Tier() < core.TierAdmin && !job.AllowPluginTrigger:
		return nil, c.who.below(core.TierAdmin)
	case job.OwnEventsOnly:
		// Otherwise an administrator's script could walk around the request
		// that the job belongs to (decision 12).
		return nil, problem(http.StatusForbidden, codeOwnEventsOnly, "job %s starts from its own events only", id)
	}
	params := map[string]any{}
	if err := c.readObject(&params, true); err != nil {
		return nil, err
	}
	run, err := s.cfg.Jobs.Run(c.Context(), id, params)
	switch {
	case errors.Is(err, ErrUnknownJob):
		return nil, unknownJob(id)
	case errors.Is(err, ErrJobState):
		return nil, problem(http.StatusConflict, codeConflict, "%s", wire.Printable(err.Error()))
	case errors.Is(err, ErrParameters):
		return nil, badBody("", "%s", wire.Printable(err.Error()))
	case err != nil:
		return nil, err
	}
	return runStarted{RunID: run}, nil
}

func (s *Server) job(id string) (Job, bool) {
	for _, job := range s.cfg.Jobs.List() {
		if job.ID == id {
			return job, true
		}
	}
	return Job{}, false
}

func unknownJob(id string) *Problem {
	return problem(http.StatusNotFound, codeUnknownJob, "there is no job %q", id)
}
