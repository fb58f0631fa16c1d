package jobs

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"kpm/core"
	"kpm/core/fault"
	"kpm/core/strictjson"
	"kpm/jobs/condition"
	"kpm/jobs/task"
)

// Routes that are not the index of a task.
const (
	routeNext = -1
	routeStop = -2
	routeFail = -3
)

const (
	defaultTimeout    = time.Hour // decision 40
	maxTimeoutSeconds = 24 * 60 * 60
)

// step is one task of a job, with what tasks of every kind have.
type step struct {
	id, name, kind       string
	task                 task.Task
	condition            *condition.Condition // nil: always met
	retry                retry
	merge                bool // what the task finds becomes context
	timeout              time.Duration
	continueOnFailure    bool
	onSuccess, onFailure int
	// skipPlugin and skipKey name the plugin setting that skips the task when
	// it is false; empty when there is none.
	skipPlugin, skipKey string
	whenSkipped         map[string]any
}

// taskFile has what tasks of every kind have; the rest is the kind's.
type taskFile struct {
	ID                         string          `json:"id" jsonschema:"required,minLength=1,maxLength=64" jsonschema_description:"An id of its own within the job, not stop."`
	Name                       string          `json:"name" jsonschema_description:"Display name."`
	ExecutionType              string          `json:"ExecutionType" jsonschema_description:"How the task runs."`
	TimeoutSeconds             *int            `json:"timeoutSeconds" jsonschema:"minimum=1,maximum=86400" jsonschema_description:"Then the task's processes are killed. An hour if omitted."`
	ContinueOnFailure          bool            `json:"continueOnFailure" jsonschema:"default=false" jsonschema_description:"true: go on with the next task after a failure without OnFailure."`
	OnSuccess                  string          `json:"OnSuccess" jsonschema_description:"The id of the task to go on with after success, or stop, or fail."`
	OnFailure                  string          `json:"OnFailure" jsonschema_description:"The id of the task to go on with after a failure, or stop, or fail."`
	MergeStdoutJSONIntoContext bool            `json:"MergeStdoutJsonIntoContext" jsonschema:"default=false" jsonschema_description:"true: the task prints one JSON object of at most 1 MiB, which becomes context of the run."`
	SkipWhenPluginSettingFalse string          `json:"SkipWhenPluginSettingFalse" jsonschema_description:"{plugin}:{setting}; the task is skipped when that is false or absent."`
	ContextWhenSkipped         map[string]any  `json:"ContextWhenSkipped" jsonschema_description:"What becomes context when the task is skipped."`
	Condition                  json.RawMessage `json:"condition" jsonschema_description:"When the task runs: an object, or an expression as text."`
	Retry                      *retryFile      `json:"retry" jsonschema_description:"How often the task is tried."`
}

// retry says how often a task is tried, and how long is waited before each try but the
// first: delay, then factor times the last, at most longest.
type retry struct {
	attempts       int
	delay, longest time.Duration
	factor         float64
}

type retryFile struct {
	Attempts        int      `json:"attempts" jsonschema:"required,minimum=1,maximum=20" jsonschema_description:"How often, the first try included."`
	DelaySeconds    *float64 `json:"delaySeconds" jsonschema:"minimum=0,maximum=86400,default=1" jsonschema_description:"Before the second try."`
	Factor          *float64 `json:"factor" jsonschema:"minimum=1,maximum=10,default=2" jsonschema_description:"By which each further delay grows."`
	MaxDelaySeconds *float64 `json:"maxDelaySeconds" jsonschema:"minimum=0,maximum=86400,default=300" jsonschema_description:"The longest delay."`
}

// Bounds of a retry.
const (
	maxAttempts     = 20
	maxDelaySeconds = 24 * 60 * 60
)

func (c *compiler) retry(field string, f *retryFile) retry {
	r := retry{attempts: 1, delay: time.Second, factor: 2, longest: 5 * time.Minute}
	if f == nil {
		return r
	}
	r.attempts = f.Attempts
	c.expect(r.attempts >= 1 && r.attempts <= maxAttempts, field+".attempts", fmt.Sprint(r.attempts), fmt.Sprintf("1 to %d, the first try included", maxAttempts))
	seconds := func(name string, given *float64, into *time.Duration) {
		if given != nil {
			c.expect(*given >= 0 && *given <= maxDelaySeconds, field+"."+name, fmt.Sprint(*given), fmt.Sprintf("0 to %d", maxDelaySeconds))
			*into = time.Duration(*given * float64(time.Second))
		}
	}
	seconds("delaySeconds", f.DelaySeconds, &r.delay)
	seconds("maxDelaySeconds", f.MaxDelaySeconds, &r.longest)
	if f.Factor != nil {
		r.factor = *f.Factor
		c.expect(r.factor >= 1 && r.factor <= 10, field+".factor", fmt.Sprint(r.factor), "1 to 10")
	}
	return r
}

// before is how long is waited before try n, from 2.
func (r retry) before(n int) time.Duration {
	wait := float64(r.delay)
	for ; n > 2 && wait < float64(r.longest); n-- {
		wait *= r.factor
	}
	return min(time.Duration(wait), r.longest)
}

// tasks compiles what written, the list that files were read from, says.
func (c *compiler) tasks(files []taskFile, written strictjson.Value, types condition.Types) []*step {
	c.expect(len(files) > 0 && len(files) <= maxTasks, "tasks", fmt.Sprintf("a list of %d", len(files)), fmt.Sprintf("1 to %d tasks", maxTasks))
	index := map[string]int{}
	for i, f := range files {
		field := fmt.Sprintf("tasks[%d].id", i)
		_, twice := index[f.ID]
		c.expect(core.ValidName(f.ID) && !strings.EqualFold(f.ID, "stop"), field, fault.Quote(f.ID), `1 to 64 letters, digits, dots, underscores and hyphens, and not "stop"`)
		c.expect(!twice, field, "given twice", "an id of its own")
		index[f.ID] = i
	}
	if len(files) == 0 {
		return nil
	}
	var steps []*step
	items, _ := written.Items(len(files))
	for i, item := range items {
		steps = append(steps, c.step(fmt.Sprintf("tasks[%d]", i), files[i], item, index, types))
	}
	return steps
}

func (c *compiler) step(field string, f taskFile, written strictjson.Value, index map[string]int, types condition.Types) *step {
	t := &step{
		id: f.ID, name: f.Name, kind: f.ExecutionType, retry: c.retry(field+".retry", f.Retry),
		merge: f.MergeStdoutJSONIntoContext, timeout: defaultTimeout, continueOnFailure: f.ContinueOnFailure, whenSkipped: f.ContextWhenSkipped,
		onSuccess: c.route(field+".OnSuccess", f.OnSuccess, index), onFailure: c.route(field+".OnFailure", f.OnFailure, index),
	}
	if len(f.Condition) > 0 { // else it is not looked for in the text of the task
		t.condition = condition.Compile(written.Get("condition"), types, c.within(field+".condition"))
	}
	if f.TimeoutSeconds != nil {
		seconds := *f.TimeoutSeconds
		c.expect(seconds >= 1 && seconds <= maxTimeoutSeconds, field+".timeoutSeconds", fmt.Sprint(seconds), fmt.Sprintf("1 to %d", maxTimeoutSeconds))
		t.timeout = time.Duration(seconds) * time.Second
	}
	if setting := f.SkipWhenPluginSettingFalse; setting != "" {
		var ok bool
		if t.skipPlugin, t.skipKey, ok = strings.Cut(setting, ":"); !ok {
			// As the published text names one: "RedirectEvaluator.metadata.redirect.enabled".
			at := strings.Index(setting, ".metadata.")
			if ok = at > 0; ok {
				t.skipPlugin, t.skipKey = setting[:at], setting[at+1:]
			}
		}
		c.expect(ok && core.ValidName(t.skipPlugin) && t.skipKey != "", field+".SkipWhenPluginSettingFalse", fault.Quote(setting), `a plugin and its setting, like "RedirectEvaluator:metadata.redirect.enabled"`)
	}
	if t.name == "" {
		t.name = t.id
	}
	if t.kind == "" {
		t.kind = task.DefaultType
	}
	source := task.NewSource(c.file, field, written)
	source.Merge = t.merge
	t.task = c.kinds.Compile(f.ExecutionType, source)
	c.faults = append(c.faults, source.Faults()...)
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
	if !ok && strings.EqualFold(to, "fail") { // a task may be called that
		return routeFail
	}
	c.expect(ok, field, fault.Quote(to), `the id of a task of this job, or "stop", or "fail"`)
	return i
}
