package jobs

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"kpm/core"
	"kpm/core/fault"
	"kpm/core/wire"
	"kpm/jobs/task"
	"kpm/settings"
)

// Limits of a job file. The published format gives only the range of priority.
const (
	maxJobFile      = 1 << 20 // bytes
	maxTasks        = 256
	maxListed       = 256 // events, parameters, topics, allowed requests
	maxPlaced       = 64  // faults that say where they are: finding each place reads the file again
	defaultPriority = 5
)

// job is a job file, checked and compiled: a run reads no file and parses
// nothing.
type job struct {
	id, name, description string
	priority              int // 1-10, higher first
	events                []string
	parameters            []parameter
	publish, subscribe    []string
	tasks                 []*step
	pluginTrigger         bool
	allowed               []string // "METHOD /path"
	// disabled says why the job never runs; empty when it does.
	disabled string
	// note says what of a job that runs is not supported yet.
	note string
}

// jobFile is the JSON. The tags are what docs/schemas/job.schema.json says.
type jobFile struct {
	ID                 string          `json:"id" jsonschema:"required,minLength=1,maxLength=64,pattern=^[A-Za-z0-9.-]+$" jsonschema_description:"The file's name without .json: letters, digits, dots and hyphens."`
	Name               string          `json:"name" jsonschema:"maxLength=256" jsonschema_description:"The name that people see."`
	Description        string          `json:"description" jsonschema_description:"What the job is for."`
	Enabled            *bool           `json:"enabled" jsonschema_description:"false: the job never runs, whatever triggers it."`
	Priority           *int            `json:"priority" jsonschema:"minimum=1,maximum=10,default=5" jsonschema_description:"Higher first, of jobs that one event starts."`
	Schedule           json.RawMessage `json:"schedule" jsonschema_description:"When the job runs by the clock."`
	Events             []eventFile     `json:"events" jsonschema:"maxItems=256" jsonschema_description:"Events that start the job."`
	Parameters         []parameterFile `json:"parameters" jsonschema:"maxItems=256" jsonschema_description:"What the job may be started with."`
	Tasks              []taskFile      `json:"tasks" jsonschema:"required,minItems=1,maxItems=256" jsonschema_description:"The tasks, in order."`
	Condition          json.RawMessage `json:"condition" jsonschema_description:"When the job runs at all."`
	OSFilter           map[string]bool `json:"osFilter" jsonschema_description:"windows, linux, macOS: true or false. One that is not named counts as true unless another one is."`
	EventTopic         string          `json:"eventTopic" jsonschema_description:"A topic of the job's own, without wildcards."`
	AllowPluginTrigger bool            `json:"allowPluginTrigger" jsonschema:"default=false" jsonschema_description:"true: plugins may start the job by name."`
	AllowedRequests    []string        `json:"allowedRequests" jsonschema:"maxItems=256" jsonschema_description:"What the job's Http tasks may ask of the local API beyond their own request: a method and a path."`
	MQTTTopics         jobTopicsFile   `json:"mqttTopics" jsonschema_description:"Topics that the job's tasks may use."`
}

type jobTopicsFile struct {
	AllowedPublications  []string `json:"allowedPublications" jsonschema:"maxItems=256" jsonschema_description:"Topics and filters that tasks may publish on."`
	AllowedSubscriptions []string `json:"allowedSubscriptions" jsonschema:"maxItems=256" jsonschema_description:"Topics and filters that tasks may subscribe to."`
}

type eventFile struct {
	EventType   string `json:"eventType" jsonschema:"required" jsonschema_description:"Custom, or Startup."`
	CustomEvent string `json:"customEvent" jsonschema_description:"The event's name, with Custom."`
}

// compiler turns one file into a job and collects every fault of it.
type compiler struct {
	platform core.Platform
	kinds    task.Kinds

	file   string
	faults fault.List
}

func (c *compiler) expect(ok bool, field, found, expected string) {
	if !ok {
		c.faults = append(c.faults, &fault.Fault{File: c.file, Field: field, Found: found, Expected: expected})
	}
}

// compile checks the job file fileID.json. The error is a *fault.Fault or
// fault.List.
func (c *compiler) compile(fileID string, doc settings.Document) (*job, error) {
	c.file = doc.Name()
	var f jobFile
	var raw struct {
		Tasks []json.RawMessage `json:"tasks"`
	}
	if err := doc.Decode(&f); err != nil {
		return nil, err
	}
	if err := doc.Decode(&raw); err != nil {
		return nil, err
	}
	j := &job{
		id: f.ID, name: f.Name, description: f.Description, priority: defaultPriority,
		publish: f.MQTTTopics.AllowedPublications, subscribe: f.MQTTTopics.AllowedSubscriptions,
		pluginTrigger: f.AllowPluginTrigger,
	}
	c.identity(f, fileID)
	if f.Priority != nil {
		j.priority = *f.Priority
		c.expect(j.priority >= 1 && j.priority <= 10, "priority", fmt.Sprint(j.priority), "1 to 10")
	}
	j.events = c.events(f.Events)
	j.parameters = c.parameters(f.Parameters)
	j.allowed = c.requests(f.AllowedRequests)
	c.topics("mqttTopics.allowedPublications", j.publish)
	c.topics("mqttTopics.allowedSubscriptions", j.subscribe)
	c.expect(f.EventTopic == "" || wire.ValidTopic(f.EventTopic), "eventTopic", fault.Quote(f.EventTopic), "a topic without wildcards")
	j.tasks = c.tasks(f.Tasks, raw.Tasks)
	j.disabled = c.disabled(f)
	if given(f.Schedule) {
		j.note = "its schedule does not fire yet"
	}
	for _, f := range c.faults[:min(len(c.faults), maxPlaced)] {
		at := doc.Fault(f.Field, f.Found, f.Expected)
		f.Line, f.Column = at.Line, at.Column
	}
	if err := c.faults.Err(); err != nil {
		return nil, err
	}
	return j, nil
}

func (c *compiler) identity(f jobFile, fileID string) {
	// Underscores separate the parts of a task's MQTT client id.
	c.expect(core.ValidName(f.ID) && !strings.Contains(f.ID, "_"), "id", fault.Quote(f.ID), "1 to 64 letters, digits, dots and hyphens")
	c.expect(f.ID == fileID, "id", fault.Quote(f.ID), "the file's name without .json, "+fault.Quote(fileID))
	// Attack: a job that is called like the service or a user would have
	// their name on the bus, and with it their reply topics.
	c.expect(!core.ReservedName(f.ID), "id", fault.Quote(f.ID), "a name that is not the service's or a user's own")
	c.expect(f.Name != "" && len(f.Name) <= 256 && wire.Printable(f.Name) == f.Name, "name", fault.Quote(f.Name), "the name that people see, at most 256 bytes on one line")
}

// given reports whether an optional object was written and is not empty.
func given(raw json.RawMessage) bool {
	text := strings.Join(strings.Fields(string(raw)), "")
	return text != "" && text != "null" && text != "{}"
}

// requestEvents are published by the service for one request, and a run that
// they start acts for that request.
func requestEvent(name string) bool {
	return name == wire.EventPolicyEvaluationPending || name == wire.EventLaunch
}

func (c *compiler) events(files []eventFile) []string {
	c.expect(len(files) <= maxListed, "events", fmt.Sprintf("a list of %d", len(files)), fmt.Sprintf("at most %d", maxListed))
	var names []string
	for i, e := range files {
		field := fmt.Sprintf("events[%d]", i)
		name := e.CustomEvent
		switch {
		case e.EventType == wire.EventStartup || requestEvent(e.EventType):
			name = e.EventType
		case !strings.EqualFold(e.EventType, "Custom"):
			c.expect(false, field+".eventType", fault.Quote(e.EventType), `"Custom" or "Startup"`)
		}
		c.expect(name != "" && len(name) <= 128 && wire.Printable(name) == name, field+".customEvent", fault.Quote(name), "the event's name, at most 128 bytes")
		names = append(names, name)
	}
	// Attack: somebody who may publish the other event would start a control
	// or launch job (decision 12).
	if slices.ContainsFunc(names, requestEvent) {
		for i, name := range names {
			c.expect(requestEvent(name), fmt.Sprintf("events[%d]", i), fault.Quote(name), "no other event beside "+wire.EventPolicyEvaluationPending+" and "+wire.EventLaunch)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func (c *compiler) topics(field string, topics []string) {
	c.expect(len(topics) <= maxListed, field, fmt.Sprintf("a list of %d", len(topics)), fmt.Sprintf("at most %d", maxListed))
	for i, topic := range topics {
		c.expect(wire.ValidFilter(topic), fmt.Sprintf("%s[%d]", field, i), fault.Quote(topic), "an MQTT topic or topic filter")
	}
}

// requests checks what the job's Http tasks may ask of the local API beyond
// their own request (decision 16).
func (c *compiler) requests(list []string) []string {
	c.expect(len(list) <= maxListed, "allowedRequests", fmt.Sprintf("a list of %d", len(list)), fmt.Sprintf("at most %d", maxListed))
	for i, r := range list {
		method, path, ok := strings.Cut(r, " ")
		ok = ok && task.KnownMethod(method) && strings.HasPrefix(path, "/") && !strings.ContainsAny(path, " *?#{}")
		c.expect(ok, fmt.Sprintf("allowedRequests[%d]", i), fault.Quote(r), `a method and a path, like "POST /api/Jobs/my-job/run"`)
	}
	return list
}

// disabled says why a sound job does not run here.
func (c *compiler) disabled(f jobFile) string {
	c.expect(f.Enabled != nil, "enabled", "missing", "true or false")
	for i, t := range f.Tasks {
		if given(t.Condition) {
			// To run it as if the condition were met would do what its
			// author ruled out.
			return fmt.Sprintf("tasks[%d].condition: conditions are not supported yet", i)
		}
	}
	switch {
	case f.Enabled != nil && !*f.Enabled:
		return "its file says enabled: false"
	case given(f.Condition):
		return "condition: conditions are not supported yet"
	case !c.here(f.OSFilter):
		return "its osFilter leaves out " + string(c.platform)
	}
	return ""
}

// here applies osFilter: a platform that is not named is meant unless another
// one is.
func (c *compiler) here(filter map[string]bool) bool {
	anyTrue, named, wanted := false, false, false
	for name, yes := range filter {
		platform, known := core.ParsePlatform(name)
		c.expect(known, "osFilter."+wire.Printable(name), "not a platform", "one of "+core.PlatformNames())
		if platform == c.platform {
			named, wanted = true, yes
		}
		anyTrue = anyTrue || yes
	}
	return wanted || !named && !anyTrue
}
