package jobs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"kpm/core"
	"kpm/core/wire"
	"kpm/settings"
)

// Builtin is a task command that is part of the service. params are the task's
// "parameters" with every token filled in, and "arguments" if the task has any.
// What it returns is merged into the run's context when the task says
// MergeStdoutJsonIntoContext.
type Builtin func(ctx context.Context, run core.Principal, params map[string]any) (map[string]any, error)

type builtinTask struct {
	run    Builtin
	params settings.Template // of JSON text; without parts when there are none
	args   []settings.Template
	merge  bool
}

func (t *builtinTask) do(ctx context.Context, r *run) (map[string]any, error) {
	params := map[string]any{}
	text, err := t.params.Expand(r.inJSON)
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
			if args[i], err = arg.Expand(r.argument); err != nil {
				return nil, err
			}
		}
		params["arguments"] = args
	}
	found, err := t.run(ctx, r.principal, params)
	if !t.merge {
		found = nil
	}
	return found, err
}

// Echo returns its parameters: with MergeStdoutJsonIntoContext they become
// context.
func Echo(_ context.Context, _ core.Principal, params map[string]any) (map[string]any, error) {
	return params, nil
}

// LogMessage writes parameter "Message" to log, at "Level" (Information if
// there is none).
func LogMessage(log *slog.Logger) Builtin {
	return func(ctx context.Context, run core.Principal, params map[string]any) (map[string]any, error) {
		message, ok := params["Message"].(string)
		if !ok {
			return nil, errors.New("parameter Message: expected text")
		}
		level := slog.LevelInfo
		if name, ok := params["Level"]; ok {
			name, _ := name.(string)
			if level, ok = settings.ParseLevel(name); !ok {
				return nil, fmt.Errorf("parameter Level is %s, expected Trace, Debug, Information, Warning, Error or Critical", settings.Quote(name))
			}
		}
		log.Log(ctx, level, wire.Printable(message), "job", run.Name, "run", run.Run)
		return nil, nil
	}
}

// PublishMQTT publishes parameter "Payload", in an envelope of "MessageType"
// (Log if there is none), on "Topic".
//
// The envelope is the service's own, which no declared list binds. So the task
// may use only what its job's file declares, and never an authority topic: what
// is said there is the service's word about a request (decision 25).
func PublishMQTT(topics func(jobID string) (publish, subscribe []string), publish func(ctx context.Context, topic string, m wire.RequestMessage) error) Builtin {
	return func(ctx context.Context, run core.Principal, params map[string]any) (map[string]any, error) {
		topic, _ := params["Topic"].(string)
		kind, ok := params["MessageType"].(string)
		if !ok {
			kind = wire.TypeLog
		}
		if !wire.ValidTopic(topic) {
			return nil, fmt.Errorf("parameter Topic is %s, expected a topic without wildcards", settings.Quote(topic))
		}
		if authority(topic) {
			return nil, fmt.Errorf("topic %s is for the service's own messages", topic)
		}
		declared, _ := topics(run.Name)
		if !slices.ContainsFunc(declared, func(filter string) bool { return wire.Match(filter, topic) }) {
			return nil, fmt.Errorf("topic %s is not in mqttTopics.allowedPublications of job %s", topic, run.Name)
		}
		m, err := wire.New(kind, core.ServicePrincipal().String(), params["Payload"])
		if err != nil {
			return nil, err
		}
		return nil, publish(ctx, topic, m)
	}
}

func authority(topic string) bool {
	for _, filter := range []string{wire.TopicPolicy + "/#", wire.TopicEvents + "/#", wire.TopicJobService + "/#", wire.TopicReplies + "/#"} {
		if wire.Match(filter, topic) {
			return true
		}
	}
	return false
}

// PromptJustification asks the person behind the run's request for a reason, if
// parameter "ControlList" names JUSTIFY. The list only saves a question: what a
// request still needs is the launcher's knowledge, and a run that is not
// asked for a reason has satisfied nothing.
func PromptJustification(justify func(ctx context.Context, run core.Principal, id core.RequestID) error) Builtin {
	return func(ctx context.Context, run core.Principal, params map[string]any) (map[string]any, error) {
		if run.Request == "" {
			return nil, errors.New("this run was not started for a request")
		}
		list, _ := params["ControlList"].(string)
		var controls []core.Control
		if err := json.Unmarshal([]byte(list), &controls); err != nil {
			return nil, fmt.Errorf("parameter ControlList is %s, expected a list of controls", settings.Quote(list))
		}
		if !slices.Contains(controls, core.ControlJustify) {
			return nil, nil
		}
		return nil, justify(ctx, run, run.Request)
	}
}
