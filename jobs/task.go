package jobs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"kpm/core"
	"kpm/settings"
)

// Routes that are not the index of a task.
const (
	routeNext = -1
	routeStop = -2
)

const (
	defaultTimeout    = 60 * time.Second
	maxTimeoutSeconds = 24 * 60 * 60
)

// action is what a task does. found is merged into the run's context, also
// when there is an error beside it.
type action interface {
	do(ctx context.Context, r *run) (found map[string]any, err error)
}

// task is one compiled step of a job.
type task struct {
	id                   string
	action               action
	timeout              time.Duration
	continueOnFailure    bool
	onSuccess, onFailure int
	// gate names the plugin setting that skips the task when it is false.
	gatePlugin, gateKey string
	whenSkipped         map[string]any
}

type taskFile struct {
	ID                         string          `json:"id"`
	Name                       string          `json:"name"`
	ExecutionType              string          `json:"ExecutionType"`
	Command                    string          `json:"command"`
	ExecutablePath             string          `json:"executablePath"`
	Arguments                  string          `json:"arguments"`
	TimeoutSeconds             *int            `json:"timeoutSeconds"`
	ContinueOnFailure          bool            `json:"continueOnFailure"`
	OnSuccess                  string          `json:"OnSuccess"`
	OnFailure                  string          `json:"OnFailure"`
	MergeStdoutJSONIntoContext bool            `json:"MergeStdoutJsonIntoContext"`
	SkipWhenPluginSettingFalse string          `json:"SkipWhenPluginSettingFalse"`
	ContextWhenSkipped         map[string]any  `json:"ContextWhenSkipped"`
	Condition                  json.RawMessage `json:"condition"`
	// Of Service tasks whose command is a built-in.
	Parameters json.RawMessage `json:"parameters"`
	// Of Http tasks.
	URL          string            `json:"url"`
	Method       string            `json:"method"`
	Headers      map[string]string `json:"headers"`
	Body         json.RawMessage   `json:"body"`
	SuccessCodes []int             `json:"successCodes"`
}

func (c *compiler) tasks(files []taskFile) []*task {
	c.expect(len(files) > 0 && len(files) <= maxTasks, "tasks", fmt.Sprintf("a list of %d", len(files)), fmt.Sprintf("1 to %d tasks", maxTasks))
	index := map[string]int{}
	for i, f := range files {
		field := fmt.Sprintf("tasks[%d].id", i)
		_, twice := index[f.ID]
		c.expect(core.ValidName(f.ID) && !strings.EqualFold(f.ID, "stop"), field, settings.Quote(f.ID), `1 to 64 letters, digits, dots, underscores and hyphens, and not "stop"`)
		c.expect(!twice, field, "given twice", "an id of its own")
		index[f.ID] = i
	}
	var tasks []*task
	for i, f := range files {
		tasks = append(tasks, c.task(fmt.Sprintf("tasks[%d]", i), f, index))
	}
	return tasks
}

func (c *compiler) task(field string, f taskFile, index map[string]int) *task {
	t := &task{
		id: f.ID, timeout: defaultTimeout, continueOnFailure: f.ContinueOnFailure, whenSkipped: f.ContextWhenSkipped,
		onSuccess: c.route(field+".OnSuccess", f.OnSuccess, index), onFailure: c.route(field+".OnFailure", f.OnFailure, index),
	}
	if f.TimeoutSeconds != nil {
		seconds := *f.TimeoutSeconds
		c.expect(seconds >= 1 && seconds <= maxTimeoutSeconds, field+".timeoutSeconds", fmt.Sprint(seconds), fmt.Sprintf("1 to %d", maxTimeoutSeconds))
		t.timeout = time.Duration(seconds) * time.Second
	}
	if gate := f.SkipWhenPluginSettingFalse; gate != "" {
		var ok bool
		t.gatePlugin, t.gateKey, ok = strings.Cut(gate, ":")
		c.expect(ok && core.ValidName(t.gatePlugin) && t.gateKey != "", field+".SkipWhenPluginSettingFalse", settings.Quote(gate), `a plugin and its setting, like "RedirectEvaluator:metadata.redirect.enabled"`)
	}
	switch strings.ToLower(f.ExecutionType) {
	case "", "service":
		t.action = c.service(field, f)
	case "http":
		t.action = c.http(field, f)
	case "user", "userdesktop", "userelevated":
		t.action = unsupported(f.ExecutionType)
	default:
		c.expect(false, field+".ExecutionType", settings.Quote(f.ExecutionType), "Service, Http, User, UserDesktop or UserElevated")
	}
	return t
}

func (c *compiler) route(field, to string, index map[string]int) int {
	if to == "" {
		return routeNext
	}
	if strings.EqualFold(to, "stop") {
		return routeStop
	}
	i, ok := index[to]
	c.expect(ok, field, settings.Quote(to), `the id of a task of this job, or "stop"`)
	return i
}

// arguments checks an arguments string and takes it apart.
func (c *compiler) arguments(field, text string) []settings.Template {
	args, err := settings.SplitArguments(text)
	if err != nil {
		c.expect(false, field, err.Error(), "words separated by spaces, quoted with '...' or \"...\"")
	}
	return args
}

// service compiles a built-in or a program, whichever the command is.
func (c *compiler) service(field string, f taskFile) action {
	args := c.arguments(field+".arguments", f.Arguments)
	if builtin, ok := c.builtins[f.Command]; ok && f.ExecutablePath == "" {
		params := settings.ParseTemplate(string(f.Parameters))
		if given(f.Parameters) && strings.TrimSpace(string(f.Parameters))[0] != '{' {
			c.expect(false, field+".parameters", "not an object", "an object")
		}
		return &builtinTask{run: builtin, params: params, args: args, merge: f.MergeStdoutJSONIntoContext}
	}
	c.expect(core.ValidName(f.Command) && f.Command != "." && f.Command != "..", field+".command", settings.Quote(f.Command), "the bare name of a program, without a path, or a built-in")
	p := &programTask{command: f.Command, args: args, merge: f.MergeStdoutJSONIntoContext}
	if f.ExecutablePath == "" {
		return p
	}
	path, err := settings.ParseTemplate(f.ExecutablePath).Expand(func(token string) (string, error) {
		if path, ok := c.layout.Variable(token); ok {
			return path, nil
		}
		return "", fmt.Errorf("{%s}", token)
	})
	if err != nil {
		c.expect(false, field+".executablePath", err.Error(), "one of {approot}, {pluginroot}, {jobroot}")
	} else {
		c.expect(absolute(path), field+".executablePath", settings.Quote(f.ExecutablePath), "an absolute path")
	}
	p.path = path
	return p
}

// errUnsupported is why a task that needs a user's session fails.
var errUnsupported = errors.New("is not supported yet")

// unsupported is an execution type that needs a user's session. It fails when
// its turn comes, so that a job with such a task in a branch that is not taken
// still runs.
type unsupported string

func (u unsupported) do(context.Context, *run) (map[string]any, error) {
	return nil, fmt.Errorf("ExecutionType %s %w", string(u), errUnsupported)
}

// knownMethod reports whether an Http task may use m.
func knownMethod(m string) bool {
	return slices.Contains([]string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"}, m)
}
