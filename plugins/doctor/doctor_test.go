package doctor

import (
	"fmt"
	"strings"
	"testing"

	"kpm/core/view"
	"kpm/plugins"
)

// sound is a plugin with which nothing is wrong.
func sound() Facts {
	return Facts{
		Inspection: plugins.Inspection{
			ID: "A", File: "Plugins/A.json", Program: "/x/A", Connections: 1, Subscribed: true, Logged: true,
			Manifest: &plugins.Manifest{
				ID: "A", Topic: "A", Subscribes: true, Publish: []string{"KeeperLogger"}, Subscribe: []string{"A/Commands/+"},
				AutoStart: true, Monitored: true, AutoRestart: true,
			},
			Health: view.PluginHealth{ID: "A", Status: view.Healthy, ProcessID: 7},
		},
		Signature: "not required", Logger: view.Healthy,
		Settings:      map[string]view.Setting{"colour": {Value: "blue", Source: "file"}},
		AgentSettings: map[string]view.Setting{"broker.host": {Value: "127.0.0.1"}, "broker.port": {Value: "8675"}},
		FileSettings:  map[string]string{"colour": "blue"},
	}
}

// Each item of the checklist has its own way to fail, and says what to do.
func TestCheck(t *testing.T) {
	for _, c := range Check(sound()) {
		if c.Outcome != view.Pass || c.Remedy != "" || c.Found == "" {
			t.Errorf("%+v", c)
		}
	}
	refused := func(operation, topic, reason string) func(*Facts) {
		return func(f *Facts) {
			f.Refusals = []view.Refusal{{Principal: "A", Operation: operation, Topic: topic, Reason: reason}}
		}
	}
	for _, c := range []struct {
		item   int
		spoil  func(*Facts)
		found  string
		remedy string
	}{
		{1, func(f *Facts) { f.Manifest, f.Fault = nil, "id is missing" }, "id is missing", "correct Plugins/A.json"},
		{1, func(f *Facts) { f.ProgramFault = "no program at /x/A" }, "no program", "install the program"},
		{1, func(f *Facts) { f.Manifest.Disabled = "its file says enabled: false" }, "enabled: false", "change that"},
		{2, func(f *Facts) { f.Manifest.Topic = "" }, "no Subscription", `"Topic": "A"`},
		{2, func(f *Facts) { f.Manifest, f.Fault = nil, `Subscription.Topic is "B", which is B's` }, "which is B's", "a topic of its own"},
		{3, refused("publish", "B", "not declared"), "B", "metadata.mqttTopics.publish"},
		{4, refused("subscription", "C/#", "not declared"), "C/#", "metadata.mqttTopics.subscribe"},
		{5, refused("connection", "", `client id "x" is not A_{Pid}`), "client id", "A_{ProcessId}"},
		{6, func(f *Facts) { f.Unsigned = "not signed" }, "not signed", "AlternativeSignatures"},
		{7, func(f *Facts) { f.AgentSettings = nil }, "holds no port", "MqttBrokerSettings:Port"},
		{8, func(f *Facts) { f.Settings = nil }, "none", "reload"},
		{9, func(f *Facts) { f.Connections = 0 }, "not connected", "KEEPER_CA_FILE"},
		{9, func(f *Facts) { f.Subscribed = false }, "not subscribed to A", "subscribe to A"},
		{9, func(f *Facts) { f.Manifest.Publish = nil }, "does not declare KeeperLogger", "publish"},
		{9, func(f *Facts) { f.Logger = view.Failed }, "KeeperLogger is Failed", "check KeeperLogger"},
		{10, func(f *Facts) { f.Health.Restarts = 4 }, "4 restarts", "plugins health A"},
		{10, func(f *Facts) { f.Manifest.Monitored, f.FileSettings["autoRestart"] = false, "true" }, "without requiresMonitoring", "requiresMonitoring to true"},
		{10, func(f *Facts) { f.Health.ProcessID = 0 }, "does not run", "plugins start A"},
		{11, func(f *Facts) { f.Jobs = []string{"scan"} }, "scan", "two programs"},
	} {
		f := sound()
		c.spoil(&f)
		got := Check(f)[c.item-1]
		if got.Item != c.item || got.Outcome != view.Fail || !strings.Contains(got.Found, c.found) || !strings.Contains(got.Remedy, c.remedy) {
			t.Errorf("item %d: %+v, want %q and %q", c.item, got, c.found, c.remedy)
		}
	}
}

// What cannot be seen is not said to be so.
func TestWhatDoesNotRunIsUnknown(t *testing.T) {
	f := sound()
	f.Health.ProcessID, f.Connections, f.Manifest.AutoStart = 0, 0, false
	unknown := 0
	for _, c := range Check(f) {
		if c.Outcome == view.Unknown && c.Remedy != "" {
			unknown++
		}
		if c.Outcome == view.Fail {
			t.Errorf("%+v", c)
		}
	}
	if unknown != 6 {
		t.Errorf("%d items are unknown", unknown)
	}
	f.Manifest, f.Fault = nil, "broken"
	if checks := Check(f); len(checks) != 11 || checks[0].Outcome != view.Fail {
		t.Errorf("%+v", checks)
	}
}

// Each row of the troubleshooting table is recognised, and only that. What ended a
// plugin long ago is no loop.
func TestDiagnose(t *testing.T) {
	old := sound()
	old.Health.Restarts, old.Health.UptimeSeconds = 5, steady
	if found := Diagnose([]Facts{sound(), old}, nil, nil); len(found) != 0 {
		t.Errorf("%+v", found)
	}
	if c := Check(old)[9]; c.Outcome != view.Pass || !strings.Contains(c.Found, "5 restarts") {
		t.Errorf("%+v", c)
	}
	refusal := func(operation, missing string) view.Refusal {
		return view.Refusal{Principal: "A", Operation: operation, Topic: "B", Reason: "why", Missing: missing}
	}
	for _, c := range []struct {
		symptom   string
		spoil     func(*Facts)
		strangers []view.Refusal
		api       []view.APIRefusal
		remedy    string
	}{
		{noStart, func(f *Facts) { f.Fault = "id is missing" }, nil, nil, "plugins reload"},
		{noStart, func(f *Facts) { f.ProgramFault = "no program" }, nil, nil, "plugins start A"},
		{noStart, func(f *Facts) { f.Unsigned = "not signed" }, nil, nil, "trust inspect /x/A"},
		{noStart, func(f *Facts) { f.Health.Status, f.Health.Detail = view.Failed, "it exited" }, nil, nil, "plugins start A"},
		{noConnect, func(f *Facts) { f.Refusals = []view.Refusal{refusal("connection", "")} }, nil, nil, "A_{ProcessId}"},
		{noConnect, func(*Facts) {}, []view.Refusal{refusal("connection", "")}, nil, "started by hand"},
		{noPublish, func(f *Facts) {
			f.Refusals = []view.Refusal{refusal("publish", "metadata.mqttTopics.publish in Plugins/A.json")}
		}, nil, nil, "add B to metadata.mqttTopics.publish in Plugins/A.json, then"},
		{forbidden, func(*Facts) {}, nil, []view.APIRefusal{{Caller: "User-1000", Method: "GET", Path: "/api/PluginSettings/A", Code: "tier-too-low", Count: 3}}, "have the agent start"},
		{stale, func(f *Facts) { f.Settings["colour"] = view.Setting{Value: "red", Source: "stored"} }, nil, nil, "settings revert A"},
		{loops, func(f *Facts) { f.Health.Restarts, f.Health.LastExit = 3, "it exited with status 1" }, nil, nil, "plugins health A"},
		{twice, func(f *Facts) { f.Jobs = []string{"scan"} }, nil, nil, "two programs"},
	} {
		f := sound()
		c.spoil(&f)
		found := Diagnose([]Facts{f}, c.strangers, c.api)
		if len(found) != 1 || found[0].Symptom != c.symptom || !strings.Contains(found[0].Remedy, c.remedy) || found[0].Found == "" {
			t.Errorf("%s: %s", c.symptom, fmt.Sprint(found))
		}
	}
	// Other paths of the API are no plugin's trouble.
	if found := Diagnose(nil, nil, []view.APIRefusal{{Path: "/api/plugins"}}); len(found) != 0 {
		t.Errorf("%+v", found)
	}
}
