package view

import (
	"encoding/json"
	"time"
)

// Job is one job, as GET /api/Jobs lists it.
type Job struct {
	ID          string `json:"id"`
	Name        string `json:"name"`
	Description string `json:"description,omitempty"`
	Enabled     bool   `json:"enabled"`
	// Priority is 1 to 10; 0 for a job whose file is broken.
	Priority int      `json:"priority,omitempty"`
	Events   []string `json:"events,omitempty"`
	// NextRunAt is when the schedule is due, in UTC; zero if it is not.
	NextRunAt time.Time `json:"nextRunAt,omitzero"`
	// AllowPluginTrigger lets tier Plugin run the job (decision 12).
	AllowPluginTrigger bool `json:"allowPluginTrigger"`
	// OwnEventsOnly is true for control, launch, grant and account jobs:
	// nobody can run them by name.
	OwnEventsOnly bool `json:"ownEventsOnly"`
	// Detail says why a job does not run, or what of it is not supported;
	// empty if there is nothing to say.
	Detail string `json:"detail,omitempty"`
}

// RunStarted answers whoever started a job by name.
type RunStarted struct {
	RunID string `json:"runId"`
}

// JobDetail is one job with its file.
type JobDetail struct {
	Job
	// Definition is the file as it was read; empty if that is broken.
	Definition json.RawMessage `json:"definition,omitempty"`
}

// JobEvaluated answers who asked a filter job.
type JobEvaluated struct {
	RunID  string `json:"runId"`
	Passed bool   `json:"passed"`
	Reason string `json:"reason,omitempty"`
}

// JobsReloaded says which jobs have changed, come or gone.
type JobsReloaded struct {
	Changed []string `json:"changed"`
}

// JobRemoved says which job is gone.
type JobRemoved struct {
	ID string `json:"id"`
}

// JobValidated says that a job file can be used.
type JobValidated struct {
	ID    string `json:"id"`
	Valid bool   `json:"valid"`
	// Warnings say what it needs and is not installed, and which names in it look like
	// those of fields and are none.
	Warnings []string `json:"warnings,omitempty"`
}

// JobExplained says whether a job would run, and why not.
type JobExplained struct {
	ID      string   `json:"id"`
	Runs    bool     `json:"runs"`
	Reasons []string `json:"reasons"`
}
