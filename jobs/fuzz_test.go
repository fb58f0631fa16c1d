package jobs

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kpm/core"
	"kpm/jobs/defaults"
	"kpm/jobs/task"
	"kpm/settings"
)

// Whatever a job file says, nothing panics; what has a fault has a place, and what has
// none can be held against any context.
func FuzzJobFiles(f *testing.F) {
	files, err := filepath.Glob("testdata/published/*.json")
	if err != nil || len(files) == 0 {
		f.Fatal(files, err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(data))
	}
	for _, name := range []string{"LaunchPrivilegeElevation.json", "log-version-info.json"} {
		data, err := defaults.Files.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(data))
	}
	f.Add(`{"id": "j", "condition": {"any": ["A == 1", {"not": {"field": "B", "operator": "in", "value": [1]}}]}, "schedule": {"calendar": {"times": ["02:30"]}}, "tasks": [{"id": "a", "command": "echo", "retry": {"attempts": 3}, "OnFailure": "a"}]}`)
	kinds := task.Bundled(task.Config{Layout: settings.At("/agent", ""), Platform: core.Linux, Commands: task.Commands{"echo": task.Echo}})
	f.Fuzz(func(t *testing.T, text string) {
		doc, err := settings.ParseDocument("Jobs/j.json", []byte(text))
		if err != nil {
			return
		}
		var named struct{ ID string }
		if doc.Decode(&named) != nil {
			return
		}
		c := compiler{platform: core.Linux, kinds: kinds, names: namesOf(kinds), now: time.Unix(1.8e9, 0)}
		j, err := c.compile(named.ID, doc)
		if err != nil {
			if !strings.HasPrefix(err.Error(), "Jobs/j.json") {
				t.Errorf("no place: %v", err)
			}
			return
		}
		v := newVars(map[string]any{"A": 1.0, "B": []any{"x"}}, j.parameters)
		_ = j.check(v)
		j.condition.Met(v.get)
		for _, step := range j.tasks {
			step.condition.Met(v.get)
			if step.retry.before(2) < 0 || step.timeout <= 0 {
				t.Errorf("waits of %v in %v", step.retry, step.timeout)
			}
		}
	})
}
