package task

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"

	"kpm/core"
	"kpm/settings"
)

// Command is a command that is part of the service. params are the task's
// "parameters" with every token filled in, and "arguments" if the task has any.
// What it returns is merged into the run's context when the task says
// MergeStdoutJsonIntoContext.
type Command func(ctx context.Context, run core.Principal, params map[string]any) (map[string]any, error)

// Commands is a table of built-in commands by their names in job files.
type Commands map[string]Command

// BundledCommands returns the table of the commands that the service has.
// controls are those that a job can have collected, by the command that does it.
func BundledCommands(log *slog.Logger, publish Publish, controls map[string]core.Control, satisfy Satisfy) Commands {
	commands := Commands{
		"echo":         Echo,
		"log-message":  LogMessage(log),
		"publish-mqtt": PublishMQTT(publish),
	}
	for command, control := range controls {
		commands[command] = CollectControl(control, satisfy)
	}
	return commands
}

// Builtin is the kind of task whose command is one of commands.
func Builtin(commands Commands) Kind {
	return Kind{
		Type: "Service", Fields: builtinFields{},
		Takes: func(s *Source) bool {
			var f struct {
				Command        string `json:"command"`
				ExecutablePath string `json:"executablePath"`
			}
			return s.peek(&f) && f.ExecutablePath == "" && commands[f.Command] != nil
		},
		Compile: func(s *Source) Task { return compileBuiltin(s, commands) },
	}
}

type builtin struct {
	command Command
	params  settings.Template // of JSON text; without parts when there are none
	args    []settings.Template
}

type builtinFields struct {
	Command    string          `json:"command"`
	Arguments  string          `json:"arguments"`
	Parameters json.RawMessage `json:"parameters" jsonschema:"type=object" jsonschema_description:"An object for a built-in command; tokens stand inside its strings."`
}

func compileBuiltin(s *Source, commands Commands) Task {
	var f builtinFields
	if !s.Decode(&f) {
		return nil
	}
	params := bytes.TrimSpace(f.Parameters)
	if string(params) == "null" {
		params = nil
	}
	s.Expect(len(params) == 0 || params[0] == '{', "parameters", "not an object", "an object")
	return &builtin{command: commands[f.Command], params: settings.ParseTemplate(string(params)), args: s.Arguments(f.Arguments)}
}

func (t *builtin) Run(ctx context.Context, r Run) (map[string]any, error) {
	params := map[string]any{}
	text, err := t.params.Expand(JSON(r))
	if err != nil {
		return nil, err
	}
	if text != "" {
		if err := json.Unmarshal([]byte(text), &params); err != nil {
			return nil, fmt.Errorf("parameters: %w", err)
		}
	}
	if len(t.args) > 0 {
		args := make([]string, len(t.args))
		for i, arg := range t.args {
			if args[i], err = arg.Expand(Argument(r)); err != nil {
				return nil, err
			}
		}
		params["arguments"] = args
	}
	return t.command(ctx, r.Principal(), params)
}
