package view

// Job is one job, as GET /api/Jobs lists it.
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
	// Detail says why a job does not run, or what of it is not supported;
	// empty if there is nothing to say.
	Detail string `json:"detail,omitempty"`
}

// RunStarted answers whoever started a job by name.
type RunStarted struct {
	RunID string `json:"runId"`
}
