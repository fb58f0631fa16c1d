package service

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"kpm/core"
	jobdefaults "kpm/jobs/defaults"
	"kpm/launcher/control"
)

// A control that this service can verify is collected by the default job, and
// its command is in the table that job authors read.
func TestEveryControlIsCollected(t *testing.T) {
	data, err := jobdefaults.Files.ReadFile("privilege-elevation-policy-controls.json")
	if err != nil {
		t.Fatal(err)
	}
	var job struct{ Tasks []struct{ Command string } }
	if err := json.Unmarshal(data, &job); err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile("../docs/jobs.md")
	if err != nil {
		t.Fatal(err)
	}
	commands := commandsOf(control.Bundled(nil, nil, nil, control.Justify{}))
	for _, task := range job.Tasks {
		delete(commands, task.Command)
	}
	if len(commands) != 0 {
		t.Errorf("no task of the default job collects %v", commands)
	}
	for command, name := range commandsOf(control.Bundled(nil, nil, nil, control.Justify{})) {
		if !strings.Contains(string(page), "| `"+command+"` |") || !strings.Contains(string(page), "`"+string(name)+"`") {
			t.Errorf("docs/jobs.md does not say that %s collects %s", command, name)
		}
	}
}

type nameless struct{ control.Justify }

func (nameless) Name() core.Control { return "BADGE" }
func (nameless) Command() string    { return "prompt-badge" }

func TestCommandsOfControls(t *testing.T) {
	got := commandsOf([]control.Control{control.Justify{}, nameless{}})
	if len(got) != 2 || got["prompt-justification"] != core.ControlJustify || got["prompt-badge"] != "BADGE" {
		t.Errorf("%v", got)
	}
}
