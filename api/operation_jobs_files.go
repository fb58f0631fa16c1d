package api

import (
	"encoding/json"
	"errors"
	"net/http"

	"kpm/core/fault"
	"kpm/core/view"
)

// JobFiles changes job files. What is wrong with one is a *fault.Fault or a fault.List.
type JobFiles interface {
	// Validate checks a job file as it would be written. fileID is empty for any.
	Validate(fileID string, body []byte) (view.JobValidated, error)
	Create(body []byte) (view.JobDetail, error)
	Update(id string, body []byte) (view.JobDetail, error)
	Delete(id string) error
	// Reload reads the files again and returns the ids that changed, came or went.
	Reload() (changed []string, err error)
}

// jobFileOperations change job files. They come before those with {id}: their words can
// be no ids.
func jobFileOperations(jobs JobFiles) group {
	h := jobFileHandlers{jobs}
	file := &body{required: true, schema: `{"type": "object", "description": "A job, as its file in Jobs/ has it: docs/jobs.md"}`}
	return group{
		operations: []operation{{
			method: http.MethodPost, path: "/api/Jobs/validate", access: pluginTier, handle: h.validate,
			id: "validateJob", summary: "Check a job without creating it",
			description: "400 points at each fault. A job whose `osFilter` leaves this system out is checked no further.",
			body:        file,
			answer:      answer{status: http.StatusOK, description: "It can be used", schema: ref("JobValidated")},
		}, {
			method: http.MethodPost, path: "/api/Jobs/reload", access: adminTier, handle: h.reload,
			id: "reloadJobs", summary: "Read the job files again",
			description: "Changes of files are noticed by themselves, too. Runs that are under way end on the definition they began with; a file that has become broken leaves its job as it was.",
			answer:      answer{status: http.StatusOK, description: "What has changed", schema: ref("JobsReloaded")},
			problems:    []int{http.StatusInternalServerError},
		}, {
			method: http.MethodPost, path: "/api/Jobs", access: adminTier, handle: h.create,
			id: "createJob", summary: "Create a job",
			description: "The job is registered, and written to `Jobs/{id}.json`.",
			body:        file,
			answer:      answer{status: http.StatusCreated, description: "The job", schema: ref("JobDetail")},
			problems:    []int{http.StatusConflict, http.StatusInternalServerError},
		}, {
			method: http.MethodPut, path: "/api/Jobs/{id}", access: adminTier, handle: h.update,
			id: "updateJob", summary: "Replace a job",
			body:     file,
			answer:   answer{status: http.StatusOK, description: "The job", schema: ref("JobDetail")},
			notFound: codeUnknownJob, problems: []int{http.StatusInternalServerError},
		}, {
			method: http.MethodDelete, path: "/api/Jobs/{id}", access: adminTier, handle: h.delete,
			id: "deleteJob", summary: "Remove a job",
			description: "Runs that are under way go on. A job that comes with the service is switched off by an update with `\"enabled\": false`: 409.",
			answer:      answer{status: http.StatusOK, description: "It is gone", schema: ref("JobRemoved")},
			notFound:    codeUnknownJob, problems: []int{http.StatusConflict, http.StatusInternalServerError},
		}},
		schemas: map[string]schema{
			"JobValidated": `{
				"type": "object",
				"required": ["id", "valid"],
				"properties": {"id": {"type": "string"}, "valid": {"const": true}, "warnings": {"type": "array", "items": {"type": "string"}, "description": "programs that it needs and that are not installed, and names that look like those of fields and are none"}},
				"additionalProperties": false
			}`,
			"JobsReloaded": `{
				"type": "object",
				"required": ["changed"],
				"properties": {"changed": {"type": "array", "items": {"type": "string"}, "description": "ids, in lower case"}},
				"additionalProperties": false
			}`,
			"JobRemoved": `{
				"type": "object",
				"required": ["id"],
				"properties": {"id": {"type": "string"}},
				"additionalProperties": false
			}`,
		},
	}
}

type jobFileHandlers struct{ jobs JobFiles }

func (h jobFileHandlers) validate(c *call) (any, error) {
	body, err := c.readFile()
	if err != nil {
		return nil, err
	}
	valid, err := h.jobs.Validate("", body)
	if err != nil {
		return nil, faulty(err)
	}
	return valid, nil
}

func (h jobFileHandlers) reload(*call) (any, error) {
	changed, err := h.jobs.Reload()
	if err != nil {
		return nil, err
	}
	return view.JobsReloaded{Changed: append([]string{}, changed...)}, nil
}

func (h jobFileHandlers) create(c *call) (any, error) {
	body, err := c.readFile()
	if err != nil {
		return nil, err
	}
	job, err := h.jobs.Create(body)
	return job, faulty(err)
}

func (h jobFileHandlers) update(c *call) (any, error) {
	body, err := c.readFile()
	if err != nil {
		return nil, err
	}
	job, err := h.jobs.Update(c.values["id"], body)
	return job, faulty(err)
}

func (h jobFileHandlers) delete(c *call) (any, error) {
	id := c.values["id"]
	if err := h.jobs.Delete(id); err != nil {
		return nil, err
	}
	return view.JobRemoved{ID: id}, nil
}

// readFile reads the body as a file that would be written as it is.
func (c *call) readFile() ([]byte, error) {
	var body json.RawMessage
	if err := c.readObject(&body, false); err != nil {
		return nil, err
	}
	return body, nil
}

// faulty points at each fault of a file that came as a body. Other errors stay what they
// are.
func faulty(err error) error {
	var list fault.List
	var one *fault.Fault
	switch {
	case errors.As(err, &list):
	case errors.As(err, &one):
		list = fault.List{one}
	default:
		return err
	}
	p := problem(codeBadRequest, "the file cannot be used: %d faults", len(list))
	if len(list) == 1 {
		p.Detail = "the file cannot be used"
	}
	for _, f := range list {
		detail := f.Found + ", expected " + f.Expected
		if f.Remedy != "" {
			detail += "; " + f.Remedy
		}
		p.Errors = append(p.Errors, Fault{Pointer: f.Pointer(), Detail: detail})
	}
	return p
}
