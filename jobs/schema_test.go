package jobs

import (
	"io/fs"
	"slices"
	"testing"

	"kpm/docs/schemas/schematest"
	"kpm/jobs/defaults"
	"kpm/jobs/schedule"
	"kpm/jobs/task"
)

// TestSchema: a task has the fields of every kind, and those that all kinds have.
func TestSchema(t *testing.T) {
	job := schematest.Of(jobFile{})
	when := schematest.Of(schedule.File{})
	when.Description = "When the job runs by the clock."
	job.Properties.Set("schedule", when)
	tasks, _ := job.Properties.Get("tasks")
	execution, _ := tasks.Items.Properties.Get("ExecutionType")
	for _, kind := range task.Bundled(task.Config{}) {
		if !slices.Contains(execution.Enum, any(kind.Type)) {
			execution.Enum = append(execution.Enum, kind.Type)
		}
		if kind.Fields == nil {
			continue
		}
		own := schematest.Of(kind.Fields).Properties
		for field := own.Oldest(); field != nil; field = field.Next() {
			if known, given := tasks.Items.Properties.Get(field.Key); !given || known.Description == "" {
				tasks.Items.Properties.Set(field.Key, field.Value)
			}
		}
	}
	const dir = "../docs/schemas"
	schematest.Hold(t, dir, "job", "Job file", "Jobs/{id}.json of the agent root.", job)
	names, err := fs.Glob(defaults.Files, "*.json")
	if err != nil || len(names) == 0 {
		t.Fatal(names, err)
	}
	for _, name := range names {
		data, err := fs.ReadFile(defaults.Files, name)
		if err != nil {
			t.Fatal(err)
		}
		schematest.Accept(t, dir, "job", name, string(data))
	}
	schematest.Refuse(t, dir, "job", "without tasks", `{"id": "a", "tasks": []}`)
	schematest.Reference(t, dir, "job", "../docs/jobs.md")
}
