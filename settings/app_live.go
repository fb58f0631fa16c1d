package settings

import "slices"

// live are the settings that a reload puts in force; the others take a restart.
var live = []string{
	"Settings:system.logging.level",
	"PluginMonitoring:BreakerLimit", "PluginMonitoring:BreakerWindowSeconds", "PluginMonitoring:MaxBackoffSeconds",
	"Requests:EvaluateSeconds", "Requests:PromptSeconds", "Requests:LaunchSeconds",
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
