package settings

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"kpm/core/fault"
)

// live are the settings that a reload puts in force; the others take a restart.
var live = []string{
	"Settings:system.logging.level",
	"PluginMonitoring:IntervalSeconds", "PluginMonitoring:BreakerLimit", "PluginMonitoring:BreakerWindowSeconds", "PluginMonitoring:MaxBackoffSeconds",
	"Requests:EvaluateSeconds", "Requests:PromptSeconds", "Requests:LaunchSeconds",
	"Interception:Executions",
}

// Reload returns what is in force after the file that gave a was read again as
// b: b's live settings and everything else as a has it. It names the keys that
// changed, those that took effect and those that wait for a restart.
func (a App) Reload(b App) (now App, changed, waiting []string) {
	now = a
	now.LogLevel = b.LogLevel
	now.Monitoring = b.Monitoring
	now.Monitoring.Probe = a.Monitoring.Probe
	now.Requests.Evaluate, now.Requests.Prompt, now.Requests.Launch = b.Requests.Evaluate, b.Requests.Prompt, b.Requests.Launch
	now.Interception.Executions = b.Interception.Executions
	now.given = map[string]string{}
	for _, e := range entries() {
		isLive := slices.Contains(live, e.key)
		from := a
		if isLive {
			from = b
		}
		if raw, ok := from.given[e.key]; ok {
			now.given[e.key] = raw
		}
		switch {
		case a.raw(e) == b.raw(e):
		case isLive:
			changed = append(changed, e.key)
		default:
			waiting = append(waiting, e.key)
		}
	}
	return now, changed, waiting
}

// raw is what the file says of a key, or what holds without it.
func (a App) raw(e entry) string {
	if raw, ok := a.given[e.key]; ok {
		return raw
	}
	return e.fallback
}

// liveName is what a live setting is called among those of AgentWide: the
// published name, without the section Settings.
func liveName(key string) string { return strings.TrimPrefix(key, "Settings:") }

// liveEntries are the rows of the live settings.
func liveEntries() []entry {
	return slices.DeleteFunc(entries(), func(e entry) bool { return !slices.Contains(live, e.key) })
}

// liveEntry finds the row of a live setting by that name, in any letter case.
func liveEntry(name string) (entry, bool) {
	list := liveEntries()
	i := slices.IndexFunc(list, func(e entry) bool { return strings.EqualFold(liveName(e.key), name) })
	if i < 0 {
		return entry{}, false
	}
	return list[i], true
}

// LiveValues are the live settings in a by their names among AgentWide's, as
// text.
func (a App) LiveValues() map[string]string { return a.liveValues(liveEntries()) }

func (a App) liveValues(rows []entry) map[string]string {
	values := map[string]string{}
	for _, e := range rows {
		var text string
		if json.Unmarshal([]byte(a.raw(e)), &text) != nil {
			text = a.raw(e)
		}
		values[liveName(e.key)] = text
	}
	return values
}

// With returns a with some live settings in place of what the file says, by
// their names among AgentWide's. Others in values are ignored. The error names
// what is not allowed.
func (a App) With(values map[string]string) (App, error) {
	a.given = maps.Clone(a.given)
	if a.given == nil {
		a.given = map[string]string{}
	}
	for name, text := range values {
		e, known := liveEntry(name)
		if !known {
			continue
		}
		raw := json.RawMessage(text)
		if strings.HasPrefix(e.fallback, `"`) {
			raw, _ = json.Marshal(text) // of a string
		}
		if !json.Valid(raw) || e.set(&a, raw) != nil {
			return a, fmt.Errorf("%s is %s, expected %s", name, fault.Quote(text), e.allowed)
		}
		a.given[e.key] = string(raw)
	}
	return a, nil
}

// FixedLive says why a setting of AgentWide cannot be put; empty if it can.
func FixedLive(name string) string {
	if _, known := liveEntry(name); known {
		return ""
	}
	if strings.EqualFold(name, "broker.host") || strings.EqualFold(name, "broker.port") {
		return name + " is what the broker holds: change MqttBrokerSettings in the application settings"
	}
	return name + " is no setting of the service that can be put here: see the application settings"
}
