package api

import (
	"context"
	"net/http"
	"time"

	"kpm/core"
	"kpm/core/view"
	"kpm/core/wire"
)

// Jobs knows the jobs, changes their files and knows their runs. Errors have kinds and
// are told to the caller, or are faults of the service.
type Jobs interface {
	JobStarter
	JobFiles
	JobRuns
}

// JobStarter shows and starts jobs.
type JobStarter interface {
	// List returns every registered job, broken ones too, by id.
	List() []view.Job
	// Get returns one of them. The error may be of kind NotFound.
	Get(id string) (view.JobDetail, error)
	// Run starts a job for by and returns the run's id without waiting for its end.
	// Errors may be of kind NotFound, Conflict, TooMany or Invalid.
	Run(ctx context.Context, by core.Principal, id string, params map[string]any) (runID string, err error)
	// Evaluate runs a job to its end, as a policy's filter.
	Evaluate(ctx context.Context, by core.Principal, id string, params map[string]any) (view.JobEvaluated, error)
	// Explain says whether a job would run, and why not. event is empty for a run by
	// name.
	Explain(id, event string, params map[string]any) (view.JobExplained, error)
	// Allowed reports whether the allow list of the run's job file names this
	// request (decision 16).
	Allowed(run core.Principal, method, path string) bool
}

// evaluateWithin bounds a filter job.
const evaluateWithin = 30 * time.Second

func jobOperations(jobs Jobs) group {
	h := jobHandlers{jobs}
	start := operation{
		method: http.MethodPost, access: adminOrPluginTrigger, handle: h.run,
		description: "Control, launch, grant and account jobs start from their own events only: 403 `own-events-only` for everyone. Names that the service alone says (`RequestId`, `UserName`, `FilePath` and others) are left out of what the run begins with.",
		body:        &body{schema: `{"type": "object", "description": "The run's parameters"}`},
		answer:      answer{status: http.StatusAccepted, description: "The run has started, or waits for its turn", schema: ref("RunStarted")},
		notFound:    codeUnknownJob, problems: []int{http.StatusConflict, http.StatusInternalServerError},
	}
	run, trigger := start, start
	run.path, run.id, run.summary = "/api/Jobs/{id}/run", "runJob", "Run a job now"
	trigger.path, trigger.id, trigger.summary = "/api/Jobs/{id}/trigger", "triggerJob", "Run a job with a context"
	return group{
		operations: []operation{{
			method: http.MethodGet, path: "/api/Jobs", access: pluginTier, handle: h.list,
			id: "listJobs", summary: "List the jobs",
			answer: answer{status: http.StatusOK, description: "Every registered job", schema: listOf("Job")},
		}, {
			method: http.MethodGet, path: "/api/Jobs/{id}", access: pluginTier, handle: h.get,
			id: "getJob", summary: "One job with its file",
			answer:   answer{status: http.StatusOK, description: "The job", schema: ref("JobDetail")},
			notFound: codeUnknownJob,
		}, run, trigger, {
			method: http.MethodPost, path: "/api/Jobs/{id}/evaluate", access: policyAlone, handle: h.evaluate,
			id: "evaluateJob", summary: "Run a job to its end, as the filter of a policy",
			description: "For a job without events and schedule that a policy names in `CustomFilterJobId`. The filter passes if the run succeeds, within 30 s.",
			body:        &body{schema: `{"type": "object", "description": "The context of the evaluation"}`},
			answer:      answer{status: http.StatusOK, description: "Whether it passed", schema: ref("JobEvaluated")},
			notFound:    codeUnknownJob, problems: []int{http.StatusConflict, http.StatusInternalServerError, http.StatusServiceUnavailable},
		}, {
			method: http.MethodPost, path: "/api/Jobs/{id}/explain", access: adminTier, handle: h.explain,
			id: "explainJob", summary: "Whether a job would run, and why not",
			body: &body{schema: `{
				"type": "object",
				"properties": {
					"eventName": {"type": "string", "description": "the event; a run by name if it is left out"},
					"context": {"type": "object", "description": "what it would begin with"}
				}
			}`},
			answer:   answer{status: http.StatusOK, description: "What would happen", schema: ref("JobExplained")},
			notFound: codeUnknownJob,
		}},
		parameters: map[string]parameter{"id": {"A job's id", 256}},
		schemas: map[string]schema{
			"Job": `{
				"type": "object",
				"required": ["id", "name", "enabled", "allowPluginTrigger", "ownEventsOnly"],
				"properties": {` + jobProperties + `},
				"additionalProperties": false
			}`,
			"JobDetail": `{
				"type": "object",
				"required": ["id", "name", "enabled", "allowPluginTrigger", "ownEventsOnly"],
				"properties": {` + jobProperties + `,
					"definition": {"type": "object", "description": "the file as it was read; left out if it is broken"}
				},
				"additionalProperties": false
			}`,
			"RunStarted": `{
				"type": "object",
				"required": ["runId"],
				"properties": {"runId": {"type": "string"}},
				"additionalProperties": false
			}`,
			"JobEvaluated": `{
				"type": "object",
				"required": ["runId", "passed"],
				"properties": {"runId": {"type": "string"}, "passed": {"type": "boolean"}, "reason": {"type": "string"}},
				"additionalProperties": false
			}`,
			"JobExplained": `{
				"type": "object",
				"required": ["id", "runs", "reasons"],
				"properties": {
					"id": {"type": "string"},
					"runs": {"type": "boolean"},
					"reasons": {"type": "array", "items": {"type": "string"}, "description": "what keeps it from running, and what else there is to know"}
				},
				"additionalProperties": false
			}`,
		},
	}
}

const jobProperties = `
	"id": {"type": "string"},
	"name": {"type": "string"},
	"description": {"type": "string"},
	"enabled": {"type": "boolean"},
	"priority": {"type": "integer", "minimum": 1, "maximum": 10},
	"events": {"type": "array", "items": {"type": "string"}, "description": "names of the events that start it"},
	"nextRunAt": {"type": "string", "format": "date-time", "description": "when its schedule is due"},
	"allowPluginTrigger": {"type": "boolean", "description": "tier Plugin may run it"},
	"ownEventsOnly": {"type": "boolean", "description": "nobody can run it by name"},
	"detail": {"type": "string", "description": "why it does not run, or what of it is not as its file says"}`

type jobHandlers struct{ jobs JobStarter }

func (h jobHandlers) list(*call) (any, error) {
	return append([]view.Job{}, h.jobs.List()...), nil // never null
}

func (h jobHandlers) get(c *call) (any, error) { return h.jobs.Get(c.values["id"]) }

// run starts a job for an administrator, or for a plugin if the job says so.
// The body, if any, becomes the run's parameters.
func (h jobHandlers) run(c *call) (any, error) {
	id := c.values["id"]
	job, err := h.jobs.Get(id)
	switch {
	case err != nil:
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
	run, err := h.jobs.Run(c.Context(), c.who.Principal, id, params)
	if err != nil {
		return nil, err
	}
	return view.RunStarted{RunID: run}, nil
}

func (h jobHandlers) evaluate(c *call) (any, error) {
	params := map[string]any{}
	if err := c.readObject(&params, true); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(c.Context(), evaluateWithin)
	defer cancel()
	return h.jobs.Evaluate(ctx, c.who.Principal, c.values["id"], params)
}

func (h jobHandlers) explain(c *call) (any, error) {
	var asked struct {
		EventName string         `json:"eventName"`
		Context   map[string]any `json:"context"`
	}
	if err := c.readObject(&asked, true); err != nil {
		return nil, err
	}
	return h.jobs.Explain(c.values["id"], asked.EventName, asked.Context)
}

// policyAlone is for what KeeperPolicy alone asks for.
var policyAlone = access{name: "KeeperPolicy", tier: core.TierPlugin, onlyPlugin: wire.PolicyPlugin}
