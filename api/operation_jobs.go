package api

import (
	"context"
	"net/http"

	"kpm/core"
	"kpm/core/view"
)

// Jobs knows the jobs.
type Jobs interface {
	// List returns every registered job, broken ones too, by id.
	List() []view.Job
	// Run starts a job and returns the run's id without waiting for its end.
	// Errors are of kind NotFound, Conflict or Invalid and told to the caller,
	// or faults of the service.
	Run(ctx context.Context, id string, params map[string]any) (runID string, err error)
	// Allowed reports whether the allow list of the run's job file names this
	// request (decision 16).
	Allowed(run core.Principal, method, path string) bool
}

func jobOperations(jobs Jobs) group {
	h := jobHandlers{jobs}
	start := operation{
		method: http.MethodPost, access: adminOrPluginTrigger, handle: h.run,
		description: "Control, launch, grant and account jobs start from their own events only: 403 `own-events-only` for everyone.",
		body:        &body{schema: `{"type": "object", "description": "The run's parameters"}`},
		answer:      answer{http.StatusAccepted, "The run has started", ref("RunStarted")},
		notFound:    codeUnknownJob, problems: []int{http.StatusConflict, http.StatusInternalServerError},
	}
	run, trigger := start, start
	run.path, run.id, run.summary = "/api/Jobs/{id}/run", "runJob", "Run a job now"
	trigger.path, trigger.id, trigger.summary = "/api/Jobs/{id}/trigger", "triggerJob", "Run a job with a context"
	return group{
		operations: []operation{{
			method: http.MethodGet, path: "/api/Jobs", access: pluginTier, handle: h.list,
			id: "listJobs", summary: "List the jobs",
			answer: answer{http.StatusOK, "Every registered job", listOf("Job")},
		}, run, trigger},
		parameters: map[string]parameter{"id": {"A job's id", 256}},
		schemas: map[string]schema{
			"Job": `{
				"type": "object",
				"required": ["id", "name", "enabled", "allowPluginTrigger", "ownEventsOnly"],
				"properties": {
					"id": {"type": "string"},
					"name": {"type": "string"},
					"description": {"type": "string"},
					"enabled": {"type": "boolean"},
					"allowPluginTrigger": {"type": "boolean", "description": "tier Plugin may run it"},
					"ownEventsOnly": {"type": "boolean", "description": "nobody can run it by name"},
					"detail": {"type": "string", "description": "why it is disabled"}
				},
				"additionalProperties": false
			}`,
			"RunStarted": `{
				"type": "object",
				"required": ["runId"],
				"properties": {"runId": {"type": "string"}},
				"additionalProperties": false
			}`,
		},
	}
}

type jobHandlers struct{ jobs Jobs }

func (h jobHandlers) list(*call) (any, error) {
	return append([]view.Job{}, h.jobs.List()...), nil // never null
}

// run starts a job for an administrator, or for a plugin if the job says so.
// The body, if any, becomes the run's parameters.
func (h jobHandlers) run(c *call) (any, error) {
	id := c.values["id"]
	job, ok := h.find(id)
	switch {
	case !ok:
		return nil, problem(codeUnknownJob, "there is no job %q", id)
	case !c.granted && c.who.Tier() < core.TierAdmin && !job.AllowPluginTrigger:
		return nil, c.who.below(core.TierAdmin)
	case job.OwnEventsOnly:
		// Otherwise an administrator's script could walk around the request
		// that the job belongs to (decision 12).
		return nil, problem(codeOwnEventsOnly, "job %s starts from its own events only", id)
	}
	params := map[string]any{}
	if err := c.readObject(&params, true); err != nil {
		return nil, err
	}
	run, err := h.jobs.Run(c.Context(), id, params)
	if err != nil {
		return nil, err
	}
	return view.RunStarted{RunID: run}, nil
}

func (h jobHandlers) find(id string) (view.Job, bool) {
	for _, job := range h.jobs.List() {
		if job.ID == id {
			return job, true
		}
	}
	return view.Job{}, false
}
