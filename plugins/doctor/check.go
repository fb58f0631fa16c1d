package doctor

import (
	"fmt"
	"slices"
	"strings"

	"kpm/core/view"
	"kpm/core/wire"
)

// item is one of the published checklist (docs/architecture-published.md,
// "Custom Plugin Guide").
type item struct {
	title string
	look  func(Facts) (outcome, found, remedy string)
}

// checklist is in the published order.
func checklist() []item {
	return []item{
		{"id is the file's name, and the program is there", program},
		{"Subscription.Topic is set, and no other plugin's", topic},
		{"metadata.mqttTopics.publish has every topic that it publishes on", publishes},
		{"metadata.mqttTopics.subscribe has every topic that it subscribes to", subscribes},
		{"the MQTT client id is {PluginName}_{ProcessId}", clientID},
		{"the program is signed where that is required", signature},
		{"it can read broker.host and broker.port", broker},
		{"it can read its own settings", ownSettings},
		{"MQTT is connected, the primary subscription held, and its log arrives", connected},
		{"autoStart, requiresMonitoring and autoRestart agree, and it stays up", lifecycle},
		{"no job runs the same program", apart},
	}
}

// Check holds a plugin against the checklist.
func Check(f Facts) []view.Check {
	var all []view.Check
	for i, one := range checklist() {
		c := view.Check{Item: i + 1, Title: one.title}
		c.Outcome, c.Found, c.Remedy = one.look(f)
		if c.Outcome == view.Pass {
			c.Remedy = ""
		}
		all = append(all, c)
	}
	return all
}

// broken is what an item says that needs a file which can be used.
func broken(f Facts) (string, string, string) {
	return view.Unknown, "the file cannot be used", "make item 1 pass first"
}

// running reports whether there is a process to look at.
func running(f Facts) bool { return f.Health.ProcessID != 0 }

func idle(f Facts) (string, string, string) {
	return view.Unknown, "it does not run", "start it: KeeperAdminCLI plugins start " + f.ID
}

func program(f Facts) (string, string, string) {
	switch {
	case f.Fault != "":
		return view.Fail, f.Fault, "correct " + f.File + ", then KeeperAdminCLI plugins reload"
	case f.Manifest.Disabled != "":
		return view.Fail, f.Manifest.Disabled, "change that in " + f.File + ", then KeeperAdminCLI plugins reload"
	case f.ProgramFault != "":
		return view.Fail, f.ProgramFault, "install the program there, owned by root and writable by nobody else"
	case f.Manifest.InProcess:
		return view.Pass, "a part of the agent's own program", ""
	}
	return view.Pass, f.Program, ""
}

func topic(f Facts) (string, string, string) {
	switch {
	case strings.HasPrefix(f.Fault, "Subscription.Topic is "):
		return view.Fail, f.Fault, "give this plugin a topic of its own, by convention its id"
	case f.Manifest == nil:
		return broken(f)
	case f.Manifest.Topic == "":
		return view.Fail, "no Subscription", `add "Subscription": {"Topic": "` + f.ID + `"}: without it nobody can send the plugin a command`
	}
	return view.Pass, f.Manifest.Topic, ""
}

// lacking are the topics that were refused since a list does not name them.
func lacking(f Facts, operation string) []string {
	var topics []string
	for _, r := range f.Refusals {
		if r.Operation == operation && !slices.Contains(topics, r.Topic) {
			topics = append(topics, r.Topic)
		}
	}
	return topics
}

func publishes(f Facts) (string, string, string) { return declares(f, "publish", "publish") }

func subscribes(f Facts) (string, string, string) { return declares(f, "subscription", "subscribe") }

func declares(f Facts, operation, list string) (string, string, string) {
	refused := lacking(f, operation)
	switch {
	case f.Manifest == nil:
		return broken(f)
	case len(refused) > 0:
		return view.Fail, "refused lately: " + strings.Join(refused, ", "),
			"add them to metadata.mqttTopics." + list + " in " + f.File + ", or have the plugin leave them alone"
	case !running(f):
		return idle(f)
	}
	declared := f.Manifest.Publish
	if list == "subscribe" {
		declared = f.Manifest.Subscribe
	}
	return view.Pass, fmt.Sprintf("nothing was refused lately; declared: %s", or(strings.Join(declared, ", "), "none")), ""
}

func or(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}

func clientID(f Facts) (string, string, string) {
	for _, r := range f.Refusals {
		if r.Operation == "connection" && strings.Contains(r.Reason, "client id") {
			return view.Fail, r.Reason, "connect with the client id " + f.ID + "_{ProcessId}, which is the plugin's own process id"
		}
	}
	switch {
	case f.Manifest == nil:
		return broken(f)
	case f.Connections > 0:
		return view.Pass, fmt.Sprintf("%d connections", f.Connections), ""
	case !running(f):
		return idle(f)
	}
	return view.Unknown, "it has not connected to the broker", "connect with the client id " + f.ID + "_{ProcessId}"
}

func signature(f Facts) (string, string, string) {
	switch {
	case f.Manifest == nil:
		return broken(f)
	case f.Unsigned != "":
		return view.Fail, f.Unsigned, "sign the program, and add the certificate's thumbprint to Settings:AlternativeSignatures or its CA to Trust:Roots; KeeperAdminCLI trust inspect shows what there is"
	}
	return view.Pass, f.Signature, ""
}

func broker(f Facts) (string, string, string) {
	host, port := f.AgentSettings["broker.host"].Value, f.AgentSettings["broker.port"].Value
	switch {
	case host == "" || port == "":
		return view.Fail, "the broker holds no port", "see the service's log for who holds it, or change MqttBrokerSettings:Port; plugins can use KEEPER_MQTT_SOCKET meanwhile"
	case f.Manifest == nil:
		return broken(f)
	case !running(f):
		return idle(f)
	}
	return view.Pass, host + ":" + port, ""
}

func ownSettings(f Facts) (string, string, string) {
	switch {
	case f.Settings == nil:
		return view.Fail, "none", "correct " + f.File + ", then KeeperAdminCLI plugins reload"
	case f.Manifest == nil:
		return broken(f)
	case !running(f):
		return idle(f)
	}
	return view.Pass, fmt.Sprintf("%d settings: KeeperAdminCLI settings get %s --explain", len(f.Settings), f.ID), ""
}

func connected(f Facts) (string, string, string) {
	switch {
	case f.Manifest == nil:
		return broken(f)
	case !running(f):
		return idle(f)
	case f.Connections == 0 && !f.Manifest.InProcess:
		return view.Fail, "it is not connected", "connect to broker.host and broker.port over TLS with the CA in KEEPER_CA_FILE, or to KEEPER_MQTT_SOCKET; a process that was started by hand is refused"
	case f.Manifest.Subscribes && !f.Subscribed:
		return view.Fail, "it has not subscribed to " + f.Manifest.Topic, "subscribe to " + f.Manifest.Topic + " at once after connecting"
	case f.ID == wire.TopicLogger:
		return view.Pass, "connected and subscribed; it is the log", ""
	case !slices.ContainsFunc(f.Manifest.Publish, func(t string) bool { return wire.Covers(t, wire.TopicLogger) }):
		return view.Fail, "it does not declare " + wire.TopicLogger, "add " + wire.TopicLogger + " to metadata.mqttTopics.publish, and log there"
	case f.Logger != view.Healthy:
		return view.Fail, "KeeperLogger is " + string(f.Logger), "KeeperAdminCLI plugins check KeeperLogger"
	case !f.Logged:
		return view.Unknown, "connected and subscribed; it has logged nothing yet", "have it publish a line on " + wire.TopicLogger + " when it starts"
	}
	return view.Pass, "connected, subscribed, and its log arrives: KeeperAdminCLI plugins logs " + f.ID, ""
}

func lifecycle(f Facts) (string, string, string) {
	if f.Manifest == nil {
		return broken(f)
	}
	m := f.Manifest
	said := fmt.Sprintf("autoStart %t, requiresMonitoring %t, autoRestart %t, %d restarts", m.AutoStart, m.Monitored, m.AutoRestart, f.Health.Restarts)
	switch {
	case f.RestartWithoutMonitoring():
		return view.Fail, "autoRestart without requiresMonitoring: it is not restarted", "set requiresMonitoring to true"
	case f.Health.Status == view.Failed, f.loops():
		return view.Fail, said + "; it last ended because: " + or(f.Health.LastExit, f.Health.Detail), "correct what ends it: its last lines are in KeeperAdminCLI plugins health " + f.ID
	case !running(f) && m.AutoStart && m.Disabled == "":
		return view.Fail, said + ", and it does not run", "KeeperAdminCLI plugins start " + f.ID
	}
	return view.Pass, said, ""
}

func apart(f Facts) (string, string, string) {
	switch {
	case len(f.Jobs) > 0:
		return view.Fail, "so do: " + strings.Join(f.Jobs, ", "), "make two programs of it: one that stays, and one that a job runs to its end"
	case f.Manifest == nil:
		return broken(f)
	}
	return view.Pass, "none", ""
}
