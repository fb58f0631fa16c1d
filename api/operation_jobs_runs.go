package api

import (
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"kpm/core"
	"kpm/core/view"
)

// JobRuns knows the runs of jobs.
type JobRuns interface {
	// Runs returns a page of the history. Errors may be of kind Invalid.
	Runs(view.JobRunFilter) (view.JobRuns, error)
	// Get returns a job. Errors may be of kind NotFound.
	Get(id string) (view.JobDetail, error)
	// RunDetail returns a run with its tasks. Errors may be of kind NotFound.
	RunDetail(runID string) (view.JobRun, error)
	// Cancel ends a run. Errors may be of kind NotFound or Conflict.
	Cancel(runID string, by core.Principal) error
	// Follow returns what has happened in a run, and what does until it ends or stop
	// is called. Errors may be of kind NotFound.
	Follow(runID string) (so []view.JobRunEvent, events <-chan view.JobRunEvent, stop func(), err error)
}

// defaultPage is the length of a page that is asked for without one.
const defaultPage = 50

func jobRunOperations(jobs JobRuns) group {
	h := jobRunHandlers{jobs}
	page := operation{
		method: http.MethodGet, access: adminTier, handle: h.page,
		answer:   answer{status: http.StatusOK, description: "A page, newest first", schema: ref("JobRuns")},
		query:    pageQuery(),
		problems: []int{http.StatusBadRequest, http.StatusInternalServerError},
	}
	all, ofJob := page, page
	all.path, all.id, all.summary = "/api/Jobs/runs", "listRuns", "Runs of all jobs"
	ofJob.path, ofJob.id, ofJob.summary = "/api/Jobs/{id}/runs", "listRunsOfJob", "Runs of one job"
	ofJob.description = "A job that there is no more still has its runs, as long as the history keeps them."
	ofJob.notFound = codeUnknownJob
	return group{
		operations: []operation{all, {
			method: http.MethodGet, path: "/api/Jobs/runs/{runId}", access: adminTier, handle: h.detail,
			id: "getRun", summary: "One run with its tasks",
			answer:   answer{status: http.StatusOK, description: "The run", schema: ref("JobRun")},
			notFound: codeUnknownRun, problems: []int{http.StatusInternalServerError},
		}, {
			method: http.MethodPost, path: "/api/Jobs/runs/{runId}/cancel", access: adminTier, handle: h.cancel,
			id: "cancelRun", summary: "End a run",
			description: "What its task runs is killed with everything that it has started.",
			answer:      answer{status: http.StatusAccepted, description: "It ends", schema: ref("RunStarted")},
			notFound:    codeUnknownRun, problems: []int{http.StatusConflict, http.StatusInternalServerError},
		}, {
			method: http.MethodGet, path: "/api/Jobs/runs/{runId}/events", access: adminTier, handle: h.events,
			id: "followRun", summary: "What happens in a run, as it happens",
			description: "Server-sent events `task` and `run`, each with a JobRunEvent. What has happened comes first; the stream ends with the run.",
			answer:      answer{status: http.StatusOK, description: "The events", schema: `{"type": "string"}`, contentType: eventStream},
			notFound:    codeUnknownRun, problems: []int{http.StatusInternalServerError},
		}, ofJob},
		parameters: map[string]parameter{"runId": {"A run's id", 64}},
		schemas: map[string]schema{
			"JobRun":      jobRunSchema(),
			"JobTask":     jobTaskSchema,
			"JobRunEvent": `{"type": "object", "required": ["kind"], "properties": {"kind": {"enum": ["run", "task"]}, "run": ` + ref("JobRun") + `, "task": ` + ref("JobTask") + `}, "additionalProperties": false}`,
			"JobRuns": `{
				"type": "object",
				"required": ["runs"],
				"properties": {
					"runs": ` + listOf("JobRun") + `,
					"next": {"type": "string", "description": "what before takes for the next page; left out on the last"}
				},
				"additionalProperties": false
			}`,
		},
	}
}

// pageQuery describes what a page of the history is asked for with.
func pageQuery() []queryParameter {
	return []queryParameter{
		{"job", "of this job", `{"type": "string"}`},
		{"state", "that have come to this state", schema(oneOf(view.JobRunStates()))},
		{"trigger", "that were started so", schema(oneOf(view.JobTriggerKinds()))},
		{"event", "that this event has started", `{"type": "string"}`},
		{"since", "created at this time or later", `{"type": "string", "format": "date-time"}`},
		{"until", "created before this time", `{"type": "string", "format": "date-time"}`},
		{"limit", "how many at most; 50 if it is left out", `{"type": "integer", "minimum": 1, "maximum": 1000}`},
		{"before", "next of the page before", `{"type": "string"}`},
	}
}

// oneOf is the schema of these words.
func oneOf(words []string) string { return `{"enum": ["` + strings.Join(words, `", "`) + `"]}` }

func jobRunSchema() schema {
	return schema(`{
	"type": "object",
	"required": ["id", "jobId", "jobName", "state", "trigger", "priority", "createdAt"],
	"properties": {
		"id": {"type": "string"},
		"jobId": {"type": "string"},
		"jobName": {"type": "string"},
		"state": ` + oneOf(view.JobRunStates()) + `,
		"reason": {"type": "string"},
		"trigger": {
			"type": "object",
			"required": ["kind"],
			"properties": {
				"kind": ` + oneOf(view.JobTriggerKinds()) + `,
				"eventName": {"type": "string"},
				"by": {"type": "string"},
				"dueAt": {"type": "string", "format": "date-time"}
			},
			"additionalProperties": false
		},
		"requestId": {"type": "string"},
		"parentRunId": {"type": "string", "description": "the run that started this one"},
		"priority": {"type": "integer"},
		"createdAt": {"type": "string", "format": "date-time"},
		"startedAt": {"type": "string", "format": "date-time"},
		"endedAt": {"type": "string", "format": "date-time"},
		"contextIn": {"type": "object", "description": "secrets are masked"},
		"contextOut": {"type": "object", "description": "what its tasks have added; secrets are masked"},
		"tasks": {"type": "array", "items": {"$ref": "#/components/schemas/JobTask"}}
	},
	"additionalProperties": false
}`)
}

const jobTaskSchema = `{
	"type": "object",
	"required": ["number", "taskId", "name", "executionType", "state", "startedAt"],
	"properties": {
		"number": {"type": "integer", "minimum": 1},
		"taskId": {"type": "string"},
		"name": {"type": "string"},
		"executionType": {"type": "string"},
		"state": {"enum": ["running", "succeeded", "failed", "skipped", "interrupted"]},
		"reason": {"type": "string"},
		"attempts": {"type": "integer"},
		"startedAt": {"type": "string", "format": "date-time"},
		"endedAt": {"type": "string", "format": "date-time"},
		"exitCode": {"type": "integer"},
		"signal": {"type": "integer"},
		"output": {"type": "string"},
		"errorOutput": {"type": "string"},
		"outputCut": {"type": "boolean"}
	},
	"additionalProperties": false
}`

type jobRunHandlers struct{ jobs JobRuns }

func (h jobRunHandlers) page(c *call) (any, error) {
	f := view.JobRunFilter{Limit: defaultPage}
	for name, values := range c.URL.Query() {
		var err error
		value := values[len(values)-1]
		switch name {
		case "job":
			f.JobID = value
		case "state":
			f.State, err = word(name, value, view.JobRunStates())
		case "trigger":
			f.Kind, err = word(name, value, view.JobTriggerKinds())
		case "event":
			f.Event = value
		case "since":
			f.Since, err = time.Parse(time.RFC3339, value)
		case "until":
			f.Until, err = time.Parse(time.RFC3339, value)
		case "limit":
			f.Limit, err = strconv.Atoi(value)
		case "before":
			f.Before = value
		default:
			return nil, problem(codeBadRequest, "there is no query parameter %q", name)
		}
		var said *Problem
		switch {
		case errors.As(err, &said):
			return nil, said
		case err != nil:
			return nil, problem(codeBadRequest, "%s is %q, which it cannot be", name, value)
		}
	}
	id, ofJob := c.values["id"]
	if ofJob {
		f.JobID = id
	}
	page, err := h.jobs.Runs(f)
	if err != nil {
		return nil, err
	}
	if ofJob && len(page.Runs) == 0 {
		if err := h.known(id); err != nil {
			return nil, err
		}
	}
	return page, nil
}

// known reports a job that there neither is nor has been, as far as the history goes.
func (h jobRunHandlers) known(id string) error {
	_, unknown := h.jobs.Get(id)
	if unknown == nil {
		return nil
	}
	page, err := h.jobs.Runs(view.JobRunFilter{JobID: id, Limit: 1})
	if err != nil || len(page.Runs) > 0 {
		return err
	}
	return unknown
}

// word is value, if it is one of words. To choose by another would find nothing, in
// silence.
func word(name, value string, words []string) (string, error) {
	if !slices.Contains(words, value) {
		return "", problem(codeBadRequest, "%s is %q, expected one of %s", name, value, strings.Join(words, ", "))
	}
	return value, nil
}

func (h jobRunHandlers) detail(c *call) (any, error) { return h.jobs.RunDetail(c.values["runId"]) }

func (h jobRunHandlers) cancel(c *call) (any, error) {
	id := c.values["runId"]
	if err := h.jobs.Cancel(id, c.who.Principal); err != nil {
		return nil, err
	}
	return view.RunStarted{RunID: id}, nil
}

func (h jobRunHandlers) events(c *call) (any, error) {
	so, events, stop, err := h.jobs.Follow(c.values["runId"])
	if err != nil {
		return nil, err
	}
	return stream(func(send func(name string, data any) error, alive <-chan time.Time, closing <-chan struct{}) error {
		defer stop()
		for _, e := range so {
			if err := send(e.Kind, e); err != nil {
				return err
			}
		}
		return relay(c, events, func(e view.JobRunEvent) string { return e.Kind }, send, alive, closing)
	}), nil
}
