package api

import (
	"context"
	"net/http"

	"kpm/core"
	"kpm/core/view"
	"kpm/core/wire"
)

// Jobs knows the jobs.
type Jobs interface {
	// List returns every registered job, broken ones too, by id.
	List() []view.Job
	// Run starts a job and returns the run's id without waiting for its end.
	// Errors of kind NotFound, Conflict and Invalid are told to the caller.
	Run(ctx context.Context, id string, params map[string]any) (runID string, err error)
	// Allowed reports whether the allow list of the run's job file names this
	// request (decision 16).
	Allowed(run core.Principal, method, path string) bool
}

func (s *Server) listJobs(*call) (any, error) {
	return append([]view.Job{}, s.cfg.Jobs.List()...), nil // never null
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
	if err == nil {
		return view.RunStarted{RunID: run}, nil
	}
	switch core.KindOf(err) {
	case core.NotFound:
		return nil, unknownJob(id)
	case core.Conflict:
		return nil, problem(http.StatusConflict, codeConflict, "%s", wire.Printable(err.Error()))
	case core.Invalid:
		return nil, badBody("", "%s", wire.Printable(err.Error()))
	}
	return nil, err
}

func (s *Server) job(id string) (view.Job, bool) {
	for _, job := range s.cfg.Jobs.List() {
		if job.ID == id {
			return job, true
		}
	}
	return view.Job{}, false
}

func unknownJob(id string) *Problem {
	return problem(http.StatusNotFound, codeUnknownJob, "there is no job %q", id)
}
