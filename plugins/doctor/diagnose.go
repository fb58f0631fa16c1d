package doctor

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"kpm/core/view"
)

// Symptoms of the published troubleshooting table
// (docs/architecture-published.md, "Custom Plugin Guide").
const (
	noStart   = "Plugin does not start after deployment"
	noConnect = "MQTT connection refused"
	noPublish = "MQTT connects but publish is denied"
	forbidden = "GET /api/PluginSettings/{plugin} returns 403"
	stale     = "Settings changes not reflected"
	loops     = "Plugin restarts unexpectedly in a loop"
	twice     = "Duplicate processes detected"
)

// Diagnose recognises the table's rows in what is known: of every plugin, of what
// the bus refused to others lately, and of what the API refused.
func Diagnose(all []Facts, strangers []view.Refusal, api []view.APIRefusal) []view.Diagnosis {
	var found []view.Diagnosis
	add := func(symptom, plugin, what, remedy string) {
		found = append(found, view.Diagnosis{Symptom: symptom, Plugin: plugin, Found: what, Remedy: remedy})
	}
	for _, f := range all {
		f.start(add)
		for _, r := range f.Refusals {
			f.refusal(r, add)
		}
		if keys := f.overridden(); len(keys) > 0 {
			add(stale, f.ID, "stored values lie over what the file says: "+strings.Join(keys, ", "),
				"KeeperAdminCLI settings revert "+f.ID+" forgets them; settings get "+f.ID+" --explain shows who stored them")
		}
		if f.loops() || strings.HasPrefix(f.Health.Detail, "given up after ") {
			add(loops, f.ID, fmt.Sprintf("%d restarts; it last ended because: %s", f.Health.Restarts, or(f.Health.LastExit, f.Health.Detail)),
				"correct what ends it (KeeperAdminCLI plugins health "+f.ID+"), then KeeperAdminCLI plugins restart "+f.ID)
		}
		if len(f.Jobs) > 0 {
			add(twice, f.ID, "its program is also run by "+strings.Join(f.Jobs, ", "), "make two programs of it")
		}
	}
	for _, r := range strangers {
		if r.Operation == "connection" {
			add(noConnect, "", r.Principal+": "+r.Reason, "have the agent start it: a process that was started by hand may not connect")
		}
	}
	for _, r := range api {
		if strings.HasPrefix(strings.ToLower(r.Path), "/api/pluginsettings") {
			add(forbidden, "", fmt.Sprintf("%s %s by %s (%s, %d times)", r.Method, r.Path, r.Caller, r.Code, r.Count),
				"have the agent start the process, or run the tool as root")
		}
	}
	return found
}

// start recognises a plugin that is to run and does not.
func (f Facts) start(add func(symptom, plugin, what, remedy string)) {
	switch {
	case f.Fault != "":
		add(noStart, f.ID, f.Fault, "correct "+f.File+", then KeeperAdminCLI plugins reload")
	case f.ProgramFault != "":
		add(noStart, f.ID, f.ProgramFault, "install the program there, then KeeperAdminCLI plugins start "+f.ID)
	case f.Unsigned != "":
		add(noStart, f.ID, f.Unsigned, "sign the program and trust its signer: KeeperAdminCLI trust inspect "+f.Program)
	case f.Health.Status == view.Failed:
		add(noStart, f.ID, f.Health.Detail, "correct that, then KeeperAdminCLI plugins start "+f.ID)
	}
}

func (f Facts) refusal(r view.Refusal, add func(symptom, plugin, what, remedy string)) {
	switch r.Operation {
	case "connection":
		add(noConnect, f.ID, r.Reason, "connect with the client id "+f.ID+"_{ProcessId}, from the process that the agent started or a child of it")
	case "publish", "Will":
		remedy := "publish on a topic that is the plugin's to use: docs/wire.md"
		if r.Missing != "" {
			remedy = "add " + r.Topic + " to " + r.Missing + ", then KeeperAdminCLI plugins reload"
		}
		add(noPublish, f.ID, r.Topic+": "+r.Reason, remedy)
	}
}

// steady is how long a plugin runs until what ended it before is history.
const steady = 10 * 60 // seconds

// loops reports whether the plugin keeps being started anew.
func (f Facts) loops() bool { return f.Health.Restarts > 1 && f.Health.UptimeSeconds < steady }

// overridden are the settings whose stored value is another than the file's.
func (f Facts) overridden() []string {
	var keys []string
	for _, key := range slices.Sorted(maps.Keys(f.Settings)) {
		s := f.Settings[key]
		file, given := f.FileSettings[key]
		if s.Source == "stored" && given && file != s.Value && !strings.HasPrefix(key, "metadata.") {
			keys = append(keys, key)
		}
	}
	return keys
}

// RestartWithoutMonitoring reports whether the file asks to be restarted without
// asking to be watched.
func (f Facts) RestartWithoutMonitoring() bool {
	return f.FileSettings["autoRestart"] == "true" && !f.Manifest.Monitored
}
