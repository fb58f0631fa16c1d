package admincli

import (
	"context"
	"encoding/json"
	"time"

	"kpm/core"
	"kpm/core/fault"
	"kpm/core/view"
)

func (r *answers) List() []view.Job {
	if r.jobs != nil {
		return r.jobs
	}
	return []view.Job{
		{ID: "LaunchPrivilegeElevation", Name: "Launch", Enabled: true, OwnEventsOnly: true},
		{ID: "cleanup", Name: "Clean\x1b[2Jup", Enabled: true, NextRunAt: time.Date(2026, 1, 2, 3, 4, 5, 0, time.Local), Events: []string{"Found", "Startup"}, AllowPluginTrigger: true},
		{ID: "broken", Detail: "tasks: found nothing\nexpected a list"},
	}
}

func (r *answers) Run(_ context.Context, _ core.Principal, id string, params map[string]any) (string, error) {
	if id == "broken" {
		return "", core.NewError(core.Conflict, "broken is disabled")
	}
	data, err := json.Marshal(params)
	r.ran = append(r.ran, id+" "+string(data))
	return "r1", err
}

func (r *answers) Get(id string) (view.JobDetail, error) {
	for _, job := range r.List() {
		if job.ID == id {
			return view.JobDetail{Job: job, Definition: json.RawMessage(jobFile)}, nil
		}
	}
	return view.JobDetail{}, errAbsent
}

// jobFile is what every job of the test's service says.
const jobFile = `{"id": "cleanup", "schedule": {"intervalMinutes": 5}, "alternateJobId": "broken", "tasks": [
	{"id": "a", "command": "sweep", "OnFailure": "c"}, {"id": "b", "command": "publish-mqtt", "parameters": {"EventName": "Swept \"all\""}, "OnSuccess": "stop"}, {"id": "c", "command": "echo"}]}`

var errAbsent = core.NewError(core.NotFound, "there is none")

func (r *answers) Evaluate(context.Context, core.Principal, string, map[string]any) (view.JobEvaluated, error) {
	return view.JobEvaluated{}, errAbsent
}

func (r *answers) Explain(id, event string, params map[string]any) (view.JobExplained, error) {
	data, err := json.Marshal(params)
	return view.JobExplained{ID: id, Reasons: []string{"asked about " + event + " with " + string(data)}}, err
}

func (r *answers) Validate(_ string, body []byte) (view.JobValidated, error) {
	var job struct{ ID string }
	if err := json.Unmarshal(body, &job); err != nil || job.ID == "" {
		return view.JobValidated{}, fault.List{{File: "body", Field: "tasks[0].command", Found: "missing\x1b", Expected: "a name"}, {File: "body", Field: "id", Found: "missing", Expected: "an id"}}
	}
	return view.JobValidated{ID: job.ID, Valid: true, Warnings: []string{"there is no program x\x1b"}}, nil
}

func (r *answers) Create([]byte) (view.JobDetail, error)         { return view.JobDetail{}, errAbsent }
func (r *answers) Update(string, []byte) (view.JobDetail, error) { return view.JobDetail{}, errAbsent }
func (r *answers) Delete(string) error                           { return errAbsent }
func (r *answers) Reload() ([]string, error)                     { return []string{"cleanup"}, nil }

// failedRun is the run that there is.
func failedRun() view.JobRun {
	code, at := 3, time.Date(2026, 1, 2, 3, 4, 5, 0, time.Local)
	return view.JobRun{
		ID: "AAAAAAAAAAAAAAAAAAAAAAAAAA", JobID: "cleanup", JobName: "Cleanup", State: "failed", Reason: "task a: it exited with status 3", Trigger: view.JobTrigger{Kind: "event", Event: "Startup"},
		Priority: 5, CreatedAt: at, StartedAt: at, EndedAt: at.Add(1500 * time.Millisecond), ContextIn: map[string]any{"Who": "\u202eann"},
		Tasks: []view.TaskRun{{Number: 1, TaskID: "a", Name: "A", Type: "Service", State: "failed", StartedAt: at, EndedAt: at.Add(time.Second), ExitCode: &code, Attempts: 2,
			Reason: "it exited with status 3", Output: "one\n\x1b[2Jtwo\n", ErrorOutput: "no\n"}},
	}
}

func (r *answers) Runs(f view.JobRunFilter) (view.JobRuns, error) {
	r.filters = append(r.filters, f)
	run := failedRun()
	run.Tasks = nil
	return view.JobRuns{Runs: []view.JobRun{run}, Next: "7"}, nil
}

func (r *answers) RunDetail(id string) (view.JobRun, error) {
	if id != failedRun().ID {
		return view.JobRun{}, errAbsent
	}
	return failedRun(), nil
}

func (r *answers) Cancel(id string, _ core.Principal) error {
	_, err := r.RunDetail(id)
	return err
}

func (r *answers) Follow(id string) ([]view.JobRunEvent, <-chan view.JobRunEvent, func(), error) {
	run := failedRun()
	if id == "r1" { // the one that Run has started
		run.State, run.Reason, run.Tasks[0].State, run.Tasks[0].Reason = "succeeded", "", "succeeded", ""
	} else if id != run.ID {
		return nil, nil, nil, errAbsent
	}
	events := make(chan view.JobRunEvent, 1)
	so := []view.JobRunEvent{{Kind: "task", Task: &run.Tasks[0]}}
	run.Tasks = nil
	events <- view.JobRunEvent{Kind: "run", Run: &run}
	close(events)
	return so, events, func() {}, nil
}

func (r *answers) Allowed(core.Principal, string, string) bool { return false }
