package jobs

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"kpm/core"
	"kpm/core/fault"
	"kpm/core/wire"
	"kpm/jobs/condition"
	"kpm/jobs/schedule"
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
	schedule              *schedule.Schedule   // nil: none
	condition             *condition.Condition // nil: always met
	alternate             string               // id of the job that runs if it is not; empty: none
	concurrency           Concurrency
	rerun                 bool // again, if the service ended while it ran
	pluginTrigger         bool
	allowed               []string // "METHOD /path"
	definition            json.RawMessage
	// disabled says why the job never runs; empty when it does.
	disabled string
	// note says what of a job that runs is not as its file says.
	note string
}

// Concurrency is what becomes of a run while another of its job is under way.
type Concurrency string

// The ways.
const (
	Allow   Concurrency = "allow"   // both run
	Queue   Concurrency = "queue"   // it waits
	Skip    Concurrency = "skip"    // it does not run
	Replace Concurrency = "replace" // the other is cancelled, and it runs then
)

// jobFile is the JSON. The tags are what docs/schemas/job.schema.json says.
type jobFile struct {
	ID                 string          `json:"id" jsonschema:"required,minLength=1,maxLength=64,pattern=^[A-Za-z0-9.-]+$" jsonschema_description:"The file's name without .json: letters, digits, dots and hyphens."`
	Name               string          `json:"name" jsonschema:"maxLength=256" jsonschema_description:"The name that people see."`
	Description        string          `json:"description" jsonschema_description:"What the job is for."`
	Enabled            *bool           `json:"enabled" jsonschema_description:"false: the job never runs, whatever triggers it."`
	Priority           *int            `json:"priority" jsonschema:"minimum=1,maximum=10,default=5" jsonschema_description:"Higher first, of jobs that one event starts."`
	Schedule           json.RawMessage `json:"schedule" jsonschema_description:"When the job runs by the clock."`
	AlternateJobID     string          `json:"alternateJobId" jsonschema_description:"The job that runs if the condition is not met."`
	Concurrency        string          `json:"concurrency" jsonschema:"enum=allow,enum=queue,enum=skip,enum=replace,default=allow" jsonschema_description:"What becomes of a run while another of the job is under way."`
	RerunIfInterrupted bool            `json:"rerunIfInterrupted" jsonschema:"default=false" jsonschema_description:"true: a run that was cut off when the service was killed runs again, from its first task."`
	Events             []eventFile     `json:"events" jsonschema:"maxItems=256" jsonschema_description:"Events that start the job."`
	Parameters         []parameterFile `json:"parameters" jsonschema:"maxItems=256" jsonschema_description:"What the job may be started with."`
	Tasks              []taskFile      `json:"tasks" jsonschema:"required,minItems=1,maxItems=256" jsonschema_description:"The tasks, in order."`
	Condition          json.RawMessage `json:"condition" jsonschema_description:"When the job runs at all: an object, or an expression as text."`
	OSFilter           map[string]bool `json:"osFilter" jsonschema_description:"windows, linux, macOS: true or false. One that is not named counts as true unless another one is."`
	EventTopic         string          `json:"eventTopic" jsonschema_description:"A topic for the progress of the job's tasks, without wildcards; allowedPublications has to list it."`
	AllowPluginTrigger *bool           `json:"allowPluginTrigger" jsonschema_description:"Whether plugins may start the job by name. If omitted they may, unless the job has allowedRequests, tasks in a user's session or events of its own."`
	AllowedRequests    []string        `json:"allowedRequests" jsonschema:"maxItems=256" jsonschema_description:"What takes tier Admin of the local API and the job's Http tasks may ask for: a method and a path."`
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
	names    fieldNames
	now      time.Time

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
	// A job for another system is skipped before anything else about it is
	// checked (decision 40): it may name what only that system has.
	var systems map[string]bool
	if filter := doc.Root().Get("osFilter"); filter.Given() && filter.Decode(&systems) == nil && c.elsewhere(systems) {
		return &job{id: fileID, name: fileID, priority: defaultPriority, definition: doc.Raw(), disabled: "its osFilter leaves out " + string(c.platform)}, nil
	}
	var f jobFile
	if err := doc.Decode(&f); err != nil {
		return nil, err
	}
	var raw struct {
		Schedule schedule.File `json:"schedule"`
	}
	if len(f.Schedule) > 0 { // else it is not worth another look at everything
		if err := doc.Decode(&raw); err != nil {
			return nil, err
		}
	}
	if f.Name == "" {
		f.Name = f.ID
	}
	j := &job{
		id: f.ID, name: f.Name, description: f.Description, priority: defaultPriority, definition: doc.Raw(),
		publish: f.MQTTTopics.AllowedPublications, subscribe: f.MQTTTopics.AllowedSubscriptions,
		alternate: f.AlternateJobID, rerun: f.RerunIfInterrupted,
	}
	c.identity(f.ID, fileID)
	c.expect(f.ID == "" || f.Name != "" && len(f.Name) <= 256 && wire.Printable(f.Name) == f.Name, "name", fault.Quote(f.Name), "the name that people see, at most 256 bytes on one line")
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
	j.schedule = schedule.Compile(f.Schedule, raw.Schedule, c.now, c.within("schedule"))
	if len(f.Condition) > 0 { // else it is not looked for in the text
		j.condition = condition.Compile(doc.Root().Get("condition"), types(j.parameters), c.within("condition"))
	}
	c.expect(j.alternate == "" || !strings.EqualFold(j.alternate, f.ID), "alternateJobId", fault.Quote(j.alternate), "another job")
	c.expect(j.alternate == "" || j.condition != nil, "alternateJobId", "given without a condition", "a condition beside it: the alternate runs if that is not met")
	j.concurrency = c.concurrency(f.Concurrency)
	j.tasks = c.tasks(f.Tasks, doc.Root().Get("tasks"), types(j.parameters))
	c.reach(f, j)
	for name := range f.OSFilter {
		_, known := core.ParsePlatform(name)
		c.expect(known, "osFilter."+wire.Printable(name), "not a platform", "one of "+core.PlatformNames())
	}
	if f.Enabled != nil && !*f.Enabled {
		j.disabled = "its file says enabled: false"
	}
	var notes []string
	if f.EventTopic != "" && !slices.ContainsFunc(j.publish, func(filter string) bool { return wire.Match(filter, f.EventTopic) }) {
		notes = append(notes, "its tasks may not publish on its eventTopic: mqttTopics.allowedPublications does not list "+f.EventTopic)
	}
	j.note = strings.Join(append(notes, c.names.misspelt(doc.Root())...), "; ")
	for _, f := range c.faults[:min(len(c.faults), maxPlaced)] {
		at := doc.Fault(f.Field, f.Found, f.Expected)
		f.Line, f.Column = at.Line, at.Column
	}
	if err := c.faults.Err(); err != nil {
		return nil, err
	}
	return j, nil
}

// within is expect for a field of the file and what is in it.
func (c *compiler) within(field string) func(ok bool, path, found, expected string) {
	return func(ok bool, path, found, expected string) {
		at := field
		if path != "" && path[0] != '[' {
			at += "."
		}
		c.expect(ok, at+path, found, expected)
	}
}

func (c *compiler) concurrency(written string) Concurrency {
	for _, way := range []Concurrency{Allow, Queue, Skip, Replace} {
		if strings.EqualFold(written, string(way)) {
			return way
		}
	}
	c.expect(written == "", "concurrency", fault.Quote(written), `"allow", "queue", "skip" or "replace"`)
	return Allow
}

// reach says whether plugins may start the job (decision 12). What does more than
// tier Plugin may, or comes to a user's session, they start only if the file says so.
func (c *compiler) reach(f jobFile, j *job) {
	if f.AllowPluginTrigger != nil {
		j.pluginTrigger = *f.AllowPluginTrigger
		return
	}
	inSession := slices.ContainsFunc(f.Tasks, func(t taskFile) bool {
		return len(t.ExecutionType) >= 4 && strings.EqualFold(t.ExecutionType[:4], "User")
	})
	j.pluginTrigger = len(j.allowed) == 0 && !inSession && !j.ownEvents()
}

// identity checks the id that the job file fileID.json has.
func (c *compiler) identity(id, fileID string) {
	if id == "" { // the rest would say no more
		c.expect(fileID != "", "id", "missing", "1 to 64 letters, digits, dots and hyphens")
		c.expect(fileID == "", "id", "missing", "the file's name without .json, "+fault.Quote(fileID))
		return
	}
	// Underscores separate the parts of a task's MQTT client id.
	c.expect(core.ValidName(id) && !strings.Contains(id, "_"), "id", fault.Quote(id), "1 to 64 letters, digits, dots and hyphens")
	c.expect(id == fileID, "id", fault.Quote(id), "the file's name without .json, "+fault.Quote(fileID))
	c.expect(!slices.ContainsFunc(reservedIDs(), func(word string) bool { return strings.EqualFold(word, id) }), "id", fault.Quote(id), "a name that is no word of the API's paths: "+strings.Join(reservedIDs(), ", "))
	// Attack: a job that is called like the service or a user would have
	// their name on the bus, and with it their reply topics.
	c.expect(!core.ReservedName(id), "id", fault.Quote(id), "a name that is not the service's or a user's own")
}

// requestEvents are published by the service for one request, and a run that
// they start acts for that request.
func requestEvent(name string) bool {
	return name == wire.EventPolicyEvaluationPending || name == wire.EventLaunch || name == wire.EventLaunchFileAccess
}

// ownEvent is one that the service alone publishes for requests, approvals and grants:
// a job that names it starts from such events only (decision 12).
func ownEvent(name string) bool { return requestEvent(name) || wire.GrantEvent(name) }

func (c *compiler) events(files []eventFile) []string {
	c.expect(len(files) <= maxListed, "events", fmt.Sprintf("a list of %d", len(files)), fmt.Sprintf("at most %d", maxListed))
	var names []string
	for i, e := range files {
		field := fmt.Sprintf("events[%d]", i)
		name := e.CustomEvent
		switch {
		case strings.EqualFold(e.EventType, wire.EventStartup):
			name = wire.EventStartup
		case e.EventType == "" && name != "": // what else could it be
		case requestEvent(e.EventType):
			name = e.EventType
		case !strings.EqualFold(e.EventType, "Custom"):
			c.expect(false, field+".eventType", fault.Quote(e.EventType), `"Custom" or "Startup"`)
		}
		c.expect(name != "" && len(name) <= 128 && wire.Printable(name) == name, field+".customEvent", fault.Quote(name), "the event's name, at most 128 bytes")
		names = append(names, name)
	}
	// Attack: somebody who may publish the other event would start a control
	// or launch job (decision 12).
	if slices.ContainsFunc(names, ownEvent) {
		for i, name := range names {
			c.expect(ownEvent(name), fmt.Sprintf("events[%d]", i), fault.Quote(name), "no other event beside "+wire.EventPolicyEvaluationPending+", "+wire.EventLaunch+" and those of approvals and grants")
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

// elsewhere applies osFilter: a platform that is not named is meant unless another
// one is.
func (c *compiler) elsewhere(filter map[string]bool) bool {
	anyTrue, named, wanted := false, false, false
	for name, yes := range filter {
		platform, _ := core.ParsePlatform(name)
		if platform == c.platform {
			named, wanted = true, yes
		}
		anyTrue = anyTrue || yes
	}
	return !wanted && (named || anyTrue)
}
