package task

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"

	"kpm/core"
	"kpm/core/fault"
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
			var f struct {
				Command        string `json:"command"`
				ExecutablePath string `json:"executablePath"`
			}
			return s.peek(&f) && f.ExecutablePath == "" && commands[f.Command] != nil
		},
		Compile: func(s *Source) Task { return compileBuiltin(s, commands) },
	}
}

// words says which parameters the words of a command's "arguments" are: the last takes
// the rest. What is written as --Name=value is parameter Name. A command that is not in
// the table gets its arguments as they are.
func words(command string) (names []string, ok bool) {
	names, ok = map[string][]string{
		"echo": {"Message"}, "log-message": {"Message"}, "display-message": {"Message"}, "show-toast": {"Message"},
		"publish-mqtt": {"Topic", "Payload"}, "check-approval-provider": {},
	}[command]
	return names, ok
}

type builtin struct {
	name    string
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
	return &builtin{name: f.Command, command: commands[f.Command], params: settings.ParseTemplate(string(params)), args: s.Arguments(f.Arguments)}
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
		if err := t.spread(args, params); err != nil {
			return nil, err
		}
	}
	if t.name == "display-message" || t.name == "show-toast" {
		for _, name := range []string{"UserName", "SessionId"} {
			if _, given := params[name]; !given {
				params[name], _ = r.Value(name) // whose is not known is nobody's
			}
		}
	}
	found, err := t.command(ctx, r.Principal(), params)
	if len(found) > 0 {
		text, _ := json.Marshal(found) // what cannot be encoded is not shown
		output, cut := bounded(text, maxOutput)
		r.Report(Report{Output: output, Cut: cut})
	}
	return found, err
}

// spread makes parameters of arguments.
func (t *builtin) spread(args []string, params map[string]any) error {
	names, known := words(t.name)
	if !known {
		params["arguments"] = args
		return nil
	}
	var rest []string
	for _, arg := range args {
		name, value, isNamed := strings.Cut(strings.TrimPrefix(arg, "--"), "=")
		if isNamed && strings.HasPrefix(arg, "--") && core.ValidName(name) {
			params[spelled(name)] = value
			continue
		}
		rest = append(rest, arg)
	}
	for i, name := range names {
		if len(rest) == 0 {
			break
		}
		value := rest[0]
		if rest = rest[1:]; i == len(names)-1 {
			value = strings.Join(append([]string{value}, rest...), " ")
			rest = nil
		}
		params[name] = value
	}
	if len(rest) > 0 {
		return fmt.Errorf("arguments: %s is one word too many", fault.Quote(rest[0]))
	}
	if payload, ok := params["Payload"].(string); ok {
		var object map[string]any
		if json.Unmarshal([]byte(payload), &object) == nil && object != nil {
			params["Payload"] = object
		}
	}
	return nil
}

// spelled is a parameter's name as commands know it.
func spelled(name string) string {
	for _, known := range []string{"Message", "Level", "Topic", "Payload", "MessageType", "EventName", "Context", "Title", "UserName", "SessionId"} {
		if strings.EqualFold(name, known) {
			return known
		}
	}
	return name
}
