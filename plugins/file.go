package plugins

import "encoding/json"

// manifestFile is the JSON, spelt as the published guide spells it. Pointers tell a
// missing value from an empty one. The tags are what docs/schemas/plugin.schema.json
// says.
type manifestFile struct {
	ID                 string            `json:"id" jsonschema:"required,minLength=1,maxLength=64,pattern=^[A-Za-z0-9._-]+$" jsonschema_description:"Stable identifier: the file's name without .json, and the key of /api/PluginSettings/{id}."`
	Name               string            `json:"name" jsonschema_description:"Display name, shown in logs and lists."`
	Description        string            `json:"description" jsonschema_description:"What the plugin is for."`
	Version            string            `json:"version" jsonschema_description:"Semantic version, for diagnostics."`
	PluginType         string            `json:"pluginType" jsonschema:"required,enum=Executable,enum=Service" jsonschema_description:"Executable: a program of its own. Service: a part of the agent's own program."`
	ExecutablePath     string            `json:"executablePath" jsonschema_description:"The program: absolute, with {approot}, {pluginroot} or {jobroot}, or relative to the agent root, then to Plugins. Required for Executable."`
	Arguments          string            `json:"arguments" jsonschema_description:"Command line, split at spaces, quoted with '...' or \"...\"; no shell. {approot}, {pluginroot}, {jobroot}, {KeeperApiBaseUrl}, {PluginId} and, in a user's session, {UserName} and {SessionId} are filled in after splitting. {{ is a literal brace."`
	SupportedPlatforms []string          `json:"supportedPlatforms" jsonschema:"required,minItems=1,enum=Windows,enum=Linux,enum=macOS" jsonschema_description:"Where the plugin runs. Elsewhere it is registered and skipped."`
	Subscription       *subscriptionFile `json:"Subscription" jsonschema_description:"The primary subscription: the topic by which the plugin is known on the bus."`
	Metadata           *metadataFile     `json:"metadata" jsonschema:"required" jsonschema_description:"Topics, and settings of the plugin's own: everything else in here can be read under its dotted name, with the prefix metadata. and without."`
	StartupPriority    *int              `json:"startupPriority" jsonschema:"minimum=0,maximum=10000,default=100" jsonschema_description:"Lower starts earlier. KeeperLogger has 10, KeeperPolicy 20; 60 suits most plugins."`
	AutoStart          bool              `json:"autoStart" jsonschema:"default=false" jsonschema_description:"true: starts with the agent. false: on request (API, KeeperAdminCLI, a job), or by startOnMessage."`
	StartOnMessage     bool              `json:"startOnMessage" jsonschema:"default=false" jsonschema_description:"true: starts when a message arrives on Subscription.Topic while it does not run, unless somebody has stopped it."`
	ExecutionContext   string            `json:"executionContext" jsonschema:"enum=Service,enum=User,enum=Interactive,default=Service" jsonschema_description:"Service: once, as the service account. User: one in each session of a user. Interactive: the same, in sessions with a desktop."`
	RequiresMonitoring bool              `json:"requiresMonitoring" jsonschema:"default=false" jsonschema_description:"true: an exit that nobody asked for is a fault."`
	AutoRestart        bool              `json:"autoRestart" jsonschema:"default=false" jsonschema_description:"true: started again when it has ended or is unhealthy. Only with requiresMonitoring."`
	LivenessCheck      bool              `json:"livenessCheck" jsonschema:"default=false" jsonschema_description:"true: a plugin that is not connected to the broker is not healthy, whether it subscribes or not."`
	LivenessPing       bool              `json:"livenessPing" jsonschema:"default=false" jsonschema_description:"true: the agent publishes a Ping on Subscription.Topic every PluginMonitoring:IntervalSeconds unless it has heard from the plugin since; one that publishes nothing until the next is unhealthy."`
	SecretSettings     []string          `json:"secretSettings" jsonschema_description:"Names of settings whose stored values are sealed under the machine key."`
	Enabled            *bool             `json:"enabled" jsonschema:"default=true" jsonschema_description:"false: registered, and never runs."`
}

// subscriptionFile is the primary subscription.
type subscriptionFile struct {
	Topic        string `json:"Topic" jsonschema:"required,minLength=1" jsonschema_description:"A topic without wildcards that no other plugin has; by convention the id."`
	Qos          int    `json:"Qos" jsonschema:"minimum=0,maximum=2,default=0" jsonschema_description:"0, 1 or 2; 2 for commands that must neither be lost nor come twice."`
	CleanSession *bool  `json:"CleanSession" jsonschema:"default=true" jsonschema_description:"false: messages that arrive at QoS 1 and 2 while the plugin is down are kept for it, within bounds."`
}

// metadataFile is what the agent reads of metadata; the rest are settings.
type metadataFile struct {
	MQTTRole   json.RawMessage `json:"mqttRole" jsonschema_description:"subscriber, publisher, or a list of both. One that does not name subscriber need not hold its primary subscription to be healthy."`
	MQTTTopics topicsFile      `json:"mqttTopics" jsonschema:"required" jsonschema_description:"All the topics that the plugin uses besides its primary one. The broker refuses every other."`
}

type topicsFile struct {
	Publish   *[]string `json:"publish" jsonschema:"required,maxItems=256" jsonschema_description:"Topics and filters that the plugin may publish on."`
	Subscribe *[]string `json:"subscribe" jsonschema:"required,maxItems=256" jsonschema_description:"Topics and filters that the plugin may subscribe to."`
}
