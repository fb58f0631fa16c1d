package view

import (
	"time"

	"kpm/core"
)

// JobRun is one run of a job, as the history has it. Times are in UTC, and zero if they
// have not come.
type JobRun struct {
	ID      string     `json:"id"`
	JobID   string     `json:"jobId"`
	JobName string     `json:"jobName"`
	State   string     `json:"state"` // docs/jobs.md, "Runs"
	Reason  string     `json:"reason,omitempty"`
	Trigger JobTrigger `json:"trigger"`
	// RequestID is that of the elevation request which the run was started for.
	RequestID core.RequestID `json:"requestId,omitempty"`
	// ParentID is the run that this one was started by: as its alternate, by an event
	// or request of its own, or because it was cut off.
	ParentID  string    `json:"parentRunId,omitempty"`
	Priority  int       `json:"priority"`
	CreatedAt time.Time `json:"createdAt"`
	StartedAt time.Time `json:"startedAt,omitzero"`
	EndedAt   time.Time `json:"endedAt,omitzero"`
	// ContextIn is what the run began with, ContextOut what its tasks have added.
	// Secrets are masked.
	ContextIn  map[string]any `json:"contextIn,omitempty"`
	ContextOut map[string]any `json:"contextOut,omitempty"`
	// Tasks are in the order in which they began; only the detail of one run has them.
	Tasks []TaskRun `json:"tasks,omitempty"`
}

// JobRunStates are the states of a run (docs/jobs.md, "Runs").
func JobRunStates() []string {
	return []string{"queued", "running", "succeeded", "failed", "skipped", "cancelled", "interrupted"}
}

// JobTriggerKinds are what may have started a run.
func JobTriggerKinds() []string {
	return []string{"event", "schedule", "manual", "evaluate", "alternate", "rerun"}
}

// JobTrigger is what started a run.
type JobTrigger struct {
	Kind  string `json:"kind"` // one of JobTriggerKinds
	Event string `json:"eventName,omitempty"`
	// By is who: a principal; empty for the clock.
	By string `json:"by,omitempty"`
	// DueAt is the time that a schedule meant.
	DueAt time.Time `json:"dueAt,omitzero"`
}

// TaskRun is one task of a run. Output is bounded, and its beginning; ErrorOutput is
// the end of what a program wrote to stderr.
type TaskRun struct {
	Number      int       `json:"number"` // from 1, in the order of the run
	TaskID      string    `json:"taskId"`
	Name        string    `json:"name"`
	Type        string    `json:"executionType"`
	State       string    `json:"state"` // running, succeeded, failed, skipped, interrupted
	Reason      string    `json:"reason,omitempty"`
	Attempts    int       `json:"attempts,omitempty"`
	StartedAt   time.Time `json:"startedAt"`
	EndedAt     time.Time `json:"endedAt,omitzero"`
	ExitCode    *int      `json:"exitCode,omitempty"`
	Signal      int       `json:"signal,omitempty"`
	Output      string    `json:"output,omitempty"`
	ErrorOutput string    `json:"errorOutput,omitempty"`
	// Cut says that there was more output.
	Cut bool `json:"outputCut,omitempty"`
}

// NotKept stands for a value of a context that was too large to keep.
const NotKept = "(not kept: the context is too large)"

// JobRuns is a page of the history, newest first.
type JobRuns struct {
	Runs []JobRun `json:"runs"`
	// Next is what "before" takes for the page after this one; empty on the last.
	Next string `json:"next,omitempty"`
}

// JobRunFilter chooses runs. Empty fields choose all.
type JobRunFilter struct {
	JobID, State, Kind, Event string
	Since, Until              time.Time
	// Limit is the length of a page, 1 to 1000; Before is Next of the page before.
	Limit  int
	Before string
}

// JobRunEvent is one thing that happened in a run, as GET
// /api/Jobs/runs/{runId}/events sends it.
type JobRunEvent struct {
	// Kind is run (its state has changed) or task.
	Kind string   `json:"kind"`
	Run  *JobRun  `json:"run,omitempty"`
	Task *TaskRun `json:"task,omitempty"`
}
