package plugins

import (
	"reflect"
	"strings"
	"testing"

	"kpm/settings"
)

// guideExample is the annotated example (docs/architecture-published.md, "The Plugin JSON File"), for Linux.
const guideExample = `{
"id": "MyBridge",
"name": "My Bridge",
"description": "Bridges inbound commands to an internal service.",
"version": "1.0.0",
"pluginType": "Executable",
"executablePath": "bin/MyBridge/MyBridge",
"supportedPlatforms": ["Linux"],
"Subscription": {"Topic": "MyBridge", "Qos": 2, "CleanSession": true},
"metadata": {
"mqttRole": ["subscriber", "publisher"],
"mqttTopics": {"publish": ["KeeperLogger", "MyBridge/Responses/+"], "subscribe": ["MyBridge/Commands/+"]}
},
"startupPriority": 60,
"autoStart": true,
"executionContext": "Service",
"requiresMonitoring": true,
"autoRestart": true
}`

func parse(t *testing.T, text string) (*Manifest, error) {
	t.Helper()
	doc, err := settings.ParseDocument("Plugins/MyBridge.json", []byte(text))
	if err != nil {
		return nil, err
	}
	return ParseManifest("MyBridge", doc, "Linux")
}

func TestParseManifestReadsThePublishedExample(t *testing.T) {
	m, err := parse(t, guideExample)
	if err != nil {
		t.Fatal(err)
	}
	want := &Manifest{
		ID: "MyBridge", Name: "My Bridge", Description: "Bridges inbound commands to an internal service.", Version: "1.0.0",
		Executable: settings.ParseTemplate("bin/MyBridge/MyBridge"), Topic: "MyBridge", Subscribes: true,
		Publish: []string{"KeeperLogger", "MyBridge/Responses/+"}, Subscribe: []string{"MyBridge/Commands/+"},
		Priority: 60, AutoStart: true, Context: InService, Monitored: true, AutoRestart: true,
	}
	if !reflect.DeepEqual(m, want) {
		t.Errorf("got  %+v\nwant %+v", m, want)
	}
}

func TestParseManifestVariants(t *testing.T) {
	for _, tc := range []struct {
		name, old, new string
		check          func(*Manifest) bool
	}{
		{"any letter case", `"autoStart": true`, `"AUTOSTART": true`, func(m *Manifest) bool { return m.AutoStart }},
		{"unknown keys", `"autoStart": true`, `"autoStart": true, "future": {"x": [1]}`, func(m *Manifest) bool { return m.Disabled == "" }},
		{"autoStart omitted", `"autoStart": true,`, ``, func(m *Manifest) bool { return !m.AutoStart }},
		{"priority omitted", `"startupPriority": 60,`, ``, func(m *Manifest) bool { return m.Priority == defaultPriority }},
		{"restart without monitoring", `"requiresMonitoring": true`, `"requiresMonitoring": false`, func(m *Manifest) bool { return !m.AutoRestart }},
		{"enabled", `"autoStart": true`, `"enabled": true`, func(m *Manifest) bool { return m.Disabled == "" }},
		{"not enabled", `"autoStart": true`, `"enabled": false`, func(m *Manifest) bool { return m.Disabled == "its file says enabled: false" && !m.Foreign }},
		{"another platform", `["Linux"]`, `["Windows", "macos"]`, func(m *Manifest) bool { return m.Disabled == "its supportedPlatforms do not name Linux" && m.Foreign }},
		{"in-process", `"Executable",
"executablePath": "bin/MyBridge/MyBridge"`, `"Service"`, func(m *Manifest) bool { return m.InProcess && m.Disabled == "" }},
		{"in a user's session", `"executionContext": "Service"`, `"executionContext": "user"`, func(m *Manifest) bool { return m.Context == InSessions && m.perSession() }},
		{"on a desktop", `"executionContext": "Service"`, `"executionContext": "Interactive"`, func(m *Manifest) bool { return m.Context == InInteractive }},
		{"a session that is kept", `"CleanSession": true`, `"CleanSession": false`, func(m *Manifest) bool { return m.KeepSession }},
		{"started by messages", `"autoStart": true`, `"startOnMessage": true`, func(m *Manifest) bool { return m.StartOnMessage && m.KeepSession }},
		{"pinged", `"autoStart": true`, `"livenessPing": true`, func(m *Manifest) bool { return m.Ping }},
		{"arguments", `"autoStart": true`, `"arguments": "--api={KeeperApiBaseUrl} '{approot}/a b'"`, func(m *Manifest) bool { return len(m.Arguments) == 2 }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m, err := parse(t, strings.Replace(guideExample, tc.old, tc.new, 1))
			if err != nil || !tc.check(m) {
				t.Errorf("got %+v, %v", m, err)
			}
		})
	}
}

func TestParseManifestNamesTheFault(t *testing.T) {
	for _, tc := range []struct{ name, old, new, want string }{
		{"id missing", `"id": "MyBridge",`, ``, `id is missing, expected 1 to 64 letters`},
		{"id of another file", `"id": "MyBridge"`, `"id": "Other"`, `id is "Other", expected the file's name without .json, "MyBridge"`},
		{"id with a wildcard", `"id": "MyBridge"`, `"id": "#"`, `id is "#"`},
		{"type missing", `"pluginType": "Executable",`, ``, `pluginType is missing, expected "Executable" or "Service"`},
		{"type unknown", `"Executable"`, `"Driver"`, `pluginType is "Driver"`},
		{"path of a part", `"Executable"`, `"Service"`, `executablePath is "bin/MyBridge/MyBridge", expected none`},
		{"started by messages without a topic", `"Subscription": {"Topic": "MyBridge", "Qos": 2, "CleanSession": true},`, `"startOnMessage": true,`, "startOnMessage is true without Subscription"},
		{"path missing", `"executablePath": "bin/MyBridge/MyBridge",`, ``, "executablePath is missing"},
		{"path with another token", `"bin/MyBridge/MyBridge"`, `"{home}/x"`, "executablePath is {home}, expected one of {approot}"},
		{"open quote", `"autoStart": true`, `"arguments": "--a='b"`, `arguments is a ' without its partner`},
		{"argument with another token", `"autoStart": true`, `"arguments": "{RequestId}"`, "arguments is {RequestId}, expected one of {approot}, {pluginroot}, {jobroot}, {KeeperApiBaseUrl}, {PluginId}, {UserName}, {SessionId}"},
		{"arguments as list", `"autoStart": true`, `"arguments": ["a"]`, "arguments is a list, expected text"},
		{"platforms missing", `"supportedPlatforms": ["Linux"],`, ``, "supportedPlatforms is missing or empty"},
		{"platform unknown", `["Linux"]`, `["Linux", "BeOS"]`, `supportedPlatforms[1] is "BeOS"`},
		{"topic missing", `"Topic": "MyBridge", `, ``, "Subscription.Topic is missing"},
		{"topic with a wildcard", `"Topic": "MyBridge"`, `"Topic": "MyBridge/#"`, `Subscription.Topic is "MyBridge/#", expected a topic without wildcards`},
		{"system topic", `"Topic": "MyBridge"`, `"Topic": "$SYS"`, `Subscription.Topic is "$SYS"`},
		{"qos", `"Qos": 2`, `"Qos": 3`, "Subscription.Qos is 3, expected 0, 1 or 2"},
		{"metadata missing", `"metadata"`, `"other"`, "metadata is missing"},
		{"publish missing", `"publish"`, `"others"`, "metadata.mqttTopics.publish is missing, expected a list of topics, [] for none"},
		{"bad filter", `"MyBridge/Responses/+"`, `"MyBridge/Resp+"`, `metadata.mqttTopics.publish[1] is "MyBridge/Resp+"`},
		{"shared subscription", `"MyBridge/Commands/+"`, `"$share/g/KeeperPolicy"`, `metadata.mqttTopics.subscribe[0] is "$share/g/KeeperPolicy"`},
		{"priority", `"startupPriority": 60`, `"startupPriority": -1`, "startupPriority is -1, expected 0 to 10000"},
		{"priority as text", `"startupPriority": 60`, `"startupPriority": "high"`, "Plugins/MyBridge.json:14: startupPriority is text, expected a whole number"},
		{"context unknown", `"executionContext": "Service"`, `"executionContext": "Kernel"`, `executionContext is "Kernel"`},
		{"enabled as text", `"autoStart": true`, `"enabled": "false"`, "enabled is text, expected true or false"},
		{"given twice", `"autoStart": true`, `"autoStart": true, "AutoStart": false`, "AutoStart is given twice"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			text := strings.Replace(guideExample, tc.old, tc.new, 1)
			if text == guideExample {
				t.Fatal("the case changes nothing")
			}
			_, err := parse(t, text)
			if err == nil || !strings.Contains(err.Error(), tc.want) || !strings.HasPrefix(err.Error(), "Plugins/MyBridge.json") {
				t.Errorf("got %v\nwant ... %s", err, tc.want)
			}
		})
	}
}

// Attack: a plugin file named after the service or a user would own their reply
// topics on the bus.
func TestParseManifestRefusesNamesOfOthers(t *testing.T) {
	for _, id := range []string{"KeeperPrivilegeManager", "keeperprivilegemanager", "User-1000", "Admin-0", "Public"} {
		doc, err := settings.ParseDocument(id+".json", []byte(strings.Replace(guideExample, `"id": "MyBridge"`, `"id": "`+id+`"`, 1)))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ParseManifest(id, doc, "Linux"); err == nil || !strings.Contains(err.Error(), "not the service's or a user's own") {
			t.Errorf("%s: got %v", id, err)
		}
	}
}

// FuzzManifest: whatever the bytes, a manifest that passes names its own file,
// declares valid topics and expands without unknown tokens.
func FuzzManifest(f *testing.F) {
	f.Add([]byte(guideExample))
	f.Add([]byte(`{}`))
	f.Add([]byte(strings.Replace(guideExample, `"autoStart": true`, `"arguments": "\"{approot}\" '"`, 1)))
	f.Add([]byte(strings.Replace(guideExample, `"metadata"`, `"METADATA"`, 1)))
	f.Fuzz(func(t *testing.T, data []byte) {
		doc, err := settings.ParseDocument("MyBridge.json", data)
		if err != nil {
			return
		}
		m, err := ParseManifest("MyBridge", doc, "Linux")
		if err != nil {
			return
		}
		if m.ID != "MyBridge" || m.Topic == "" || m.Publish == nil || m.Subscribe == nil {
			t.Fatalf("%s passed as %+v", data, m)
		}
		for _, arg := range m.Arguments {
			for _, part := range arg.Parts() {
				if strings.EqualFold(part.Token, "RequestId") {
					t.Fatalf("%s passed with an unknown token", data)
				}
			}
		}
	})
}
