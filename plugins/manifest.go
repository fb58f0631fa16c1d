package plugins

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"kpm/core"
	"kpm/core/fault"
	"kpm/core/wire"
	"kpm/settings"
)

// Limits of a plugin file. The published guide gives none; these are generous.
const (
	maxTopics       = 256 // per list
	defaultPriority = 100 // of a plugin that says none: after those that do
	maxPriority     = 10000
)

// Manifest is a plugin's file, checked (docs/architecture-published.md, "Field Reference").
type Manifest struct {
	ID          string
	Name        string
	Description string
	Version     string
	// Executable is the path as written; resolve finds the file.
	Executable settings.Template
	Arguments  []settings.Template
	// InProcess plugins are a part of this program, known by their id.
	InProcess bool
	// Topic is the primary subscription; empty if there is none.
	Topic string
	// Subscribes says that the plugin promises to hold that subscription, and
	// Liveness that it promises to stay connected to the broker: what is
	// promised is part of its health.
	Subscribes, Liveness bool
	// Publish and Subscribe are metadata.mqttTopics.
	Publish, Subscribe []string
	// KeepSession is Subscription.CleanSession false, or StartOnMessage: what
	// arrives while the plugin is away is kept for it.
	KeepSession    bool
	Priority       int // lower starts earlier
	AutoStart      bool
	StartOnMessage bool // on Topic
	Context        Context
	Ping           bool // whether it lives is asked on Topic
	Monitored      bool // an exit is a fault
	AutoRestart    bool // only with Monitored
	// Secrets are settings whose stored values are sealed.
	Secrets []string
	// Disabled says why the plugin is registered and never runs; empty when
	// it can run. Foreign is true of one that is for other systems.
	Disabled string
	Foreign  bool
}

// Context is where a plugin runs, by the published executionContext.
type Context string

// The contexts.
const (
	InService     Context = "Service"     // once, as the service account
	InSessions    Context = "User"        // once in each session of a user
	InInteractive Context = "Interactive" // once in each session with a desktop
)

// perSession reports whether the plugin runs in users' sessions.
func (m *Manifest) perSession() bool { return m.Context != InService }

// ParseManifest checks the plugin file fileID.json, for an agent on platform.
// The error is a *fault.Fault or a fault.List.
func ParseManifest(fileID string, doc settings.Document, platform core.Platform) (*Manifest, error) {
	var f manifestFile
	if err := doc.Decode(&f); err != nil {
		return nil, err
	}
	c := checker{doc: doc}
	c.identity(f, fileID)
	m := &Manifest{
		ID: f.ID, Name: f.Name, Description: f.Description, Version: f.Version,
		AutoStart: f.AutoStart, Liveness: f.LivenessCheck,
		Monitored: f.RequiresMonitoring, AutoRestart: f.AutoRestart && f.RequiresMonitoring,
		StartOnMessage: f.StartOnMessage, Ping: f.LivenessPing, Secrets: f.SecretSettings,
		Priority: defaultPriority,
	}
	c.program(f, m)
	c.topics(f, m)
	if f.StartupPriority != nil {
		m.Priority = *f.StartupPriority
		c.expect(m.Priority >= 0 && m.Priority <= maxPriority, "startupPriority", fmt.Sprint(m.Priority), fmt.Sprintf("0 to %d", maxPriority))
	}
	m.Context = c.context(f)
	c.expect(!f.StartOnMessage || m.Topic != "", "startOnMessage", "true without Subscription", "a Subscription whose topic starts the plugin")
	c.expect(!f.LivenessPing || m.Topic != "", "livenessPing", "true without Subscription", "a Subscription on whose topic the plugin is asked")
	c.expect(!f.StartOnMessage || !m.perSession(), "startOnMessage", "true in users' sessions", "executionContext Service")
	m.Disabled, m.Foreign = c.disabled(f, platform)
	if err := c.faults.Err(); err != nil {
		return nil, err
	}
	return m, nil
}

// checker collects every fault of one file.
type checker struct {
	doc    settings.Document
	faults fault.List
}

func (c *checker) expect(ok bool, field, found, expected string) {
	if !ok {
		c.faults = append(c.faults, c.doc.Fault(field, found, expected))
	}
}

func (c *checker) identity(f manifestFile, fileID string) {
	c.expect(core.ValidName(f.ID), "id", fault.Quote(f.ID), "1 to 64 letters, digits, dots, underscores and hyphens")
	c.expect(f.ID == fileID, "id", fault.Quote(f.ID), "the file's name without .json, "+fault.Quote(fileID))
	// Attack: a plugin that is called like the service or a user would have
	// their name on the bus, and with it their reply topics.
	c.expect(!core.ReservedName(f.ID), "id", fault.Quote(f.ID), "a name that is not the service's or a user's own")
}

func (c *checker) program(f manifestFile, m *Manifest) {
	m.InProcess = strings.EqualFold(f.PluginType, "Service")
	c.expect(m.InProcess || strings.EqualFold(f.PluginType, "Executable"), "pluginType", fault.Quote(f.PluginType), `"Executable" or "Service"`)
	c.expect(m.InProcess || f.ExecutablePath != "", "executablePath", "missing", "the program's path")
	c.expect(!m.InProcess || f.ExecutablePath == "", "executablePath", fault.Quote(f.ExecutablePath), "none: pluginType Service is a part of the agent's own program")
	c.expect(!strings.ContainsRune(f.ExecutablePath, 0), "executablePath", fault.Quote(f.ExecutablePath), "a path")
	m.Executable = settings.ParseTemplate(f.ExecutablePath)
	c.tokens("executablePath", m.Executable, "approot", "pluginroot", "jobroot")
	args, err := settings.SplitArguments(f.Arguments)
	if err != nil {
		c.expect(false, "arguments", err.Error(), "words separated by spaces, quoted with '...' or \"...\"")
	}
	m.Arguments = args
	for _, arg := range args {
		c.tokens("arguments", arg, "approot", "pluginroot", "jobroot", "KeeperApiBaseUrl", "PluginId", "UserName", "SessionId")
	}
}

func (c *checker) tokens(field string, t settings.Template, known ...string) {
	for _, part := range t.Parts() {
		ok := part.Token == "" || slices.ContainsFunc(known, func(k string) bool { return strings.EqualFold(k, part.Token) })
		c.expect(ok, field, "{"+part.Token+"}", "one of {"+strings.Join(known, "}, {")+"}")
	}
}

func (c *checker) topics(f manifestFile, m *Manifest) {
	if primary := f.Subscription; primary != nil {
		c.expect(wire.ValidTopic(primary.Topic), "Subscription.Topic", fault.Quote(primary.Topic), "a topic without wildcards")
		c.expect(primary.Qos >= 0 && primary.Qos <= 2, "Subscription.Qos", fmt.Sprint(primary.Qos), "0, 1 or 2")
		m.Topic = primary.Topic
		m.KeepSession = primary.CleanSession != nil && !*primary.CleanSession || f.StartOnMessage
		m.Subscribes = f.Metadata == nil || subscriber(f.Metadata.MQTTRole)
	}
	if f.Metadata == nil {
		c.expect(false, "metadata", "missing", "an object with mqttTopics")
		return
	}
	m.Publish = c.list("metadata.mqttTopics.publish", f.Metadata.MQTTTopics.Publish)
	m.Subscribe = c.list("metadata.mqttTopics.subscribe", f.Metadata.MQTTTopics.Subscribe)
}

// subscriber reports whether a plugin with this metadata.mqttRole subscribes.
// One that does not say what it is does, since it has a subscription.
func subscriber(role json.RawMessage) bool {
	var one string
	var several []string
	switch {
	case json.Unmarshal(role, &several) == nil && several != nil:
	case json.Unmarshal(role, &one) == nil && one != "":
		several = []string{one}
	default:
		return true
	}
	return slices.ContainsFunc(several, func(r string) bool { return strings.EqualFold(r, "subscriber") })
}

func (c *checker) list(field string, topics *[]string) []string {
	if topics == nil {
		c.expect(false, field, "missing", "a list of topics, [] for none")
		return nil
	}
	c.expect(len(*topics) <= maxTopics, field, fmt.Sprintf("%d topics", len(*topics)), fmt.Sprintf("at most %d", maxTopics))
	for i, topic := range *topics {
		c.expect(wire.ValidFilter(topic), fmt.Sprintf("%s[%d]", field, i), fault.Quote(topic), "an MQTT topic or topic filter")
	}
	return *topics
}

func (c *checker) context(f manifestFile) Context {
	for _, known := range []Context{InService, InSessions, InInteractive} {
		if f.ExecutionContext == "" || strings.EqualFold(f.ExecutionContext, string(known)) {
			return known
		}
	}
	c.expect(false, "executionContext", fault.Quote(f.ExecutionContext), `"Service", "User" or "Interactive"`)
	return InService
}

// disabled says why a sound plugin does not run here, and whether it is for other
// systems.
func (c *checker) disabled(f manifestFile, platform core.Platform) (why string, foreign bool) {
	c.expect(len(f.SupportedPlatforms) > 0, "supportedPlatforms", "missing or empty", "some of "+core.PlatformNames())
	here := false
	for i, name := range f.SupportedPlatforms {
		p, known := core.ParsePlatform(name)
		c.expect(known, fmt.Sprintf("supportedPlatforms[%d]", i), fault.Quote(name), "one of "+core.PlatformNames())
		here = here || p == platform
	}
	switch {
	case f.Enabled != nil && !*f.Enabled:
		return "its file says enabled: false", !here
	case !here:
		return "its supportedPlatforms do not name " + string(platform), true
	}
	return "", false
}
