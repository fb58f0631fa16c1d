package api_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"kpm/core"
	diagnostic "kpm/core/fault"
	"kpm/core/view"
)

func (j jobsOf) List() []view.Job { return j.jobs }

func (j jobsOf) Run(_ context.Context, _ core.Principal, id string, params map[string]any) (string, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.runErr != nil {
		return "", j.runErr
	}
	j.runs = append(j.runs, fmt.Sprintf("%s: %v", id, params))
	return "run-1", nil
}

func (j jobsOf) Get(id string) (view.JobDetail, error) {
	for _, job := range j.jobs {
		if job.ID == id {
			return view.JobDetail{Job: job, Definition: []byte(`{"id": "` + id + `"}`)}, nil
		}
	}
	return view.JobDetail{}, errNoJob
}

var (
	errNoJob  = core.NewError(core.NotFound, "no such job")
	errNoRun  = core.NewError(core.NotFound, "no such run")
	errEnded  = core.NewError(core.Conflict, "the run has ended")
	errFilter = core.NewError(core.Invalid, "no such page")
)

func (j jobsOf) Evaluate(_ context.Context, _ core.Principal, id string, _ map[string]any) (view.JobEvaluated, error) {
	_, err := j.Get(id)
	return view.JobEvaluated{RunID: "run-1", Passed: true}, err
}

func (j jobsOf) Explain(id, event string, _ map[string]any) (view.JobExplained, error) {
	_, err := j.Get(id)
	return view.JobExplained{ID: id, Reasons: []string{"it does not name the event " + event}}, err
}

func (j jobsOf) Validate(_ string, body []byte) (view.JobValidated, error) {
	id, err := j.idOf(body)
	return view.JobValidated{ID: id, Valid: true, Warnings: []string{"there is no program"}}, err
}

func (j jobsOf) idOf(body []byte) (string, error) {
	var job struct{ ID string }
	if err := json.Unmarshal(body, &job); err != nil || job.ID == "" {
		return "", diagnostic.List{{File: "body", Field: "tasks[0].id", Found: "missing", Expected: "an id", Remedy: "write one"}}
	}
	return job.ID, nil
}

func (j jobsOf) Create(body []byte) (view.JobDetail, error) {
	id, err := j.idOf(body)
	if err != nil {
		return view.JobDetail{}, err
	}
	if _, err := j.Get(id); err == nil {
		return view.JobDetail{}, core.WithKind(core.Conflict, errNoJob)
	}
	return view.JobDetail{Job: view.Job{ID: id, Name: id, Enabled: true, Priority: 5, Events: []string{"Startup"}, NextRunAt: time.Unix(1e9, 0).UTC()}, Definition: body}, nil
}

func (j jobsOf) Update(id string, body []byte) (view.JobDetail, error) {
	if _, err := j.Get(id); err != nil {
		return view.JobDetail{}, err
	}
	if _, err := j.idOf(body); err != nil {
		return view.JobDetail{}, err
	}
	return j.Get(id)
}

func (j jobsOf) Delete(id string) error {
	_, err := j.Get(id)
	return err
}

func (j jobsOf) Reload() ([]string, error) { return nil, nil }

// oneRun is what there is of runs.
func oneRun() view.JobRun {
	code := 3
	return view.JobRun{
		ID: "run-1", JobID: "inventory", JobName: "Inventory", State: "failed", Reason: "task a: it exited with status 3", Trigger: view.JobTrigger{Kind: "event", Event: "Startup", By: "KeeperPrivilegeManager"},
		Priority: 5, CreatedAt: time.Unix(1e9, 0).UTC(), ContextIn: map[string]any{"A": 1.0},
		Tasks: []view.TaskRun{{Number: 1, TaskID: "a", Name: "A", Type: "Service", State: "failed", StartedAt: time.Unix(1e9, 0).UTC(), ExitCode: &code, ErrorOutput: "no"}},
	}
}

func (j jobsOf) Runs(f view.JobRunFilter) (view.JobRuns, error) {
	if f.Limit > 1000 {
		return view.JobRuns{}, errFilter
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.filters = append(j.filters, f)
	// Of a job that is gone there is a run that failed, of "nobody" none.
	if f.JobID == "nobody" || f.State == "succeeded" {
		return view.JobRuns{Runs: []view.JobRun{}}, nil
	}
	run := oneRun()
	run.Tasks = nil
	return view.JobRuns{Runs: []view.JobRun{run}, Next: "7"}, nil
}

func (j jobsOf) RunDetail(id string) (view.JobRun, error) {
	if id != "run-1" {
		return view.JobRun{}, errNoRun
	}
	return oneRun(), nil
}

func (j jobsOf) Cancel(id string, by core.Principal) error {
	if _, err := j.RunDetail(id); err != nil {
		return err
	}
	if by.Kind != core.Admin {
		return errEnded
	}
	return nil
}

func (j jobsOf) Follow(id string) ([]view.JobRunEvent, <-chan view.JobRunEvent, func(), error) {
	run, err := j.RunDetail(id)
	if err != nil {
		return nil, nil, nil, err
	}
	if j.silent != nil {
		return []view.JobRunEvent{{Kind: "task", Task: &run.Tasks[0]}}, j.silent, func() {}, nil
	}
	events := make(chan view.JobRunEvent, 1)
	events <- view.JobRunEvent{Kind: "run", Run: &run}
	close(events)
	return []view.JobRunEvent{{Kind: "task", Task: &run.Tasks[0]}}, events, func() {}, nil
}

func (j jobsOf) Allowed(run core.Principal, method, path string) bool {
	return run.Name == "maintenance" && slices.Contains(j.allow, method+" "+path)
}
