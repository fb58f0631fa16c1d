package task

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"

	"kpm/core"
	"kpm/core/wire"
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
// Without log, bus and satisfy it serves to check job files.
func BundledCommands(log *slog.Logger, bus Bus, controls map[string]core.Control, satisfy Satisfy) Commands {
	commands := Commands{
		"echo":        Echo,
		"log-message": LogMessage(log),
		"publish-mqtt": PublishMQTT(func(ctx context.Context, p core.Principal, topic string, payload []byte) error {
			return bus.PublishAs(ctx, p, topic, payload)
		}),
		"display-message":         Notice(bus, "message"),
		"show-toast":              Notice(bus, "toast"),
		"check-approval-provider": CheckApprovalProvider(bus),
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
			return commands[s.look("command")] != nil && s.look("executablePath") == ""
		},
		Compile: func(s *Source) Task { return compileBuiltin(s, commands) },
	}
}

type builtin struct {
	name    string
	command Command
	params  settings.Template // of JSON text; without parts when there are none
	texts   []parameter       // given as text, by arguments most of them
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
	var rest []byte
	var texts []parameter
	if params := s.written.Get("parameters"); params.Given() && !params.IsNull() {
		s.Expect(params.IsObject(), "parameters", "not an object", "an object")
		if params.IsObject() {
			rest, texts = written(f.Command, params)
		}
	}
	return &builtin{
		name: f.Command, command: commands[f.Command], params: settings.ParseTemplate(string(rest)),
		texts: append(texts, spread(f.Command, s.Arguments(f.Arguments))...),
	}
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
	for _, p := range t.texts {
		if err := p.fill(r, params); err != nil {
			return nil, err
		}
	}
	form, _ := formOf(t.name)
	for _, name := range form.supplied {
		if _, given := params[name]; !given {
			params[name], _ = r.Value(name) // whose is not known is nobody's
		}
	}
	if topic, _ := params["Topic"].(string); t.name == "log-message" || t.name == "publish-mqtt" && topic == wire.TopicLogger {
		params, _ = masked(r, params).(map[string]any) // both end in the log, which has no secrets
	}
	found, err := t.command(ctx, r.Principal(), params)
	if len(found) > 0 {
		text, _ := json.Marshal(found) // what cannot be encoded is not shown
		output, cut := bounded(text, maxOutput)
		r.Report(Report{Output: output, Cut: cut})
	}
	return found, err
}
