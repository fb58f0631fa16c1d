package settings

import (
	"errors"
	"testing"

	"kpm/core/fault"
)

func changes(t *testing.T, text string) Document {
	t.Helper()
	doc, err := ParseDocument("PUT", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

func TestEditKeepsWhatWasThere(t *testing.T) {
	for _, tc := range []struct{ name, file, changes, want string }{
		{"no file", ``, `{"Settings": {"KestrelHttpPort": 7000}}`, "{\n  \"Settings\": {\n    \"KestrelHttpPort\": 7000\n  }\n}\n"},
		{"order, letter case and what nobody reads", `{"Vendor": {"x": [1]}, "settings": {"Z": 1, "kestrelhttpport": 7000, "A": 2}}`,
			`{"Settings": {"KestrelHttpPort": 7001, "KestrelHttpsPort": 7002}}`,
			"{\n  \"Vendor\": {\n    \"x\": [\n      1\n    ]\n  },\n  \"settings\": {\n    \"Z\": 1,\n    \"kestrelhttpport\": 7001,\n    \"A\": 2,\n    \"KestrelHttpsPort\": 7002\n  }\n}\n"},
		{"a flat key", `{"Settings:KestrelHttpPort": 7000}`, `{"Settings": {"KestrelHttpPort": 7001}}`, "{\n  \"Settings:KestrelHttpPort\": 7001\n}\n"},
		{"what already holds", `{}`, `{"Settings": {"KestrelHttpPort": 6888}, "PluginMonitoring": {"BreakerLimit": 5.0}}`, "{}\n"},
		{"null", `{"Settings": {"KestrelHttpPort": 7000, "x": 1}}`, `{"Settings": {"KestrelHttpPort": null, "PluginPath": null}}`, "{\n  \"Settings\": {\n    \"x\": 1\n  }\n}\n"},
	} {
		a := Default()
		if tc.file != "" {
			a = parsed(t, tc.file)
		}
		got, err := a.Edit([]byte(tc.file), changes(t, tc.changes))
		if err != nil || string(got) != tc.want {
			t.Errorf("%s: %v\n%s\nwant\n%s", tc.name, err, got, tc.want)
		}
	}
	_, err := Default().Edit(nil, changes(t, `{"Settings": {"KestrelHtttpPort": 1}, "Other": {"x": 1}}`))
	var faults fault.List
	if !errors.As(err, &faults) || len(faults) != 2 {
		t.Errorf("got %v", err)
	}
}

func TestLiveSettingsCanBeStored(t *testing.T) {
	a := parsed(t, `{"PluginMonitoring": {"BreakerLimit": 3}}`)
	if v := a.LiveValues(); v["PluginMonitoring:BreakerLimit"] != "3" || v["system.logging.level"] != "Warning" || len(v) != len(live) {
		t.Errorf("%v", v)
	}
	b, err := a.With(map[string]string{"System.Logging.Level": "debug", "PluginMonitoring:BreakerLimit": "7", "broker.port": "1"})
	if err != nil || b.Monitoring.BreakerLimit != 7 || b.LiveValues()["system.logging.level"] != "debug" {
		t.Errorf("%+v, %v", b, err)
	}
	if _, changed, _ := a.Reload(b); len(changed) != 2 {
		t.Errorf("changed %q", changed)
	}
	for name, text := range map[string]string{"system.logging.level": "Loud", "PluginMonitoring:BreakerLimit": "many", "Requests:PromptSeconds": "1"} {
		if _, err := a.With(map[string]string{name: text}); err == nil {
			t.Errorf("%s = %s is allowed", name, text)
		}
	}
	for name, fixed := range map[string]bool{"broker.port": true, "colour": true, "system.logging.level": false} {
		if (FixedLive(name) != "") != fixed {
			t.Errorf("%s: %q", name, FixedLive(name))
		}
	}
}

// FuzzEdit: whatever the file and the changes are, the result is JSON that keeps
// every key that nothing reads.
func FuzzEdit(f *testing.F) {
	f.Add(`{"Vendor": {"x": 1}, "settings": {"KestrelHttpPort": 7000}}`, `{"Settings": {"KestrelHttpPort": 7001}}`)
	f.Add(`{"Settings:KestrelHttpPort": 7000, "Settings": null}`, `{"Settings": {"KestrelHttpPort": null}}`)
	f.Add(``, `{"PluginMonitoring": {"BreakerLimit": 7}}`)
	f.Fuzz(func(t *testing.T, file, changed string) {
		changes, err := ParseDocument("PUT", []byte(changed))
		if err != nil {
			return
		}
		a := Default()
		if file != "" {
			doc, err := ParseDocument("appsettings.json", []byte(file))
			if err != nil {
				return
			}
			if a, err = ParseApp(doc); err != nil {
				return
			}
		}
		text, err := a.Edit([]byte(file), changes)
		if err != nil {
			return
		}
		after, err := ParseDocument("appsettings.json", text)
		if err != nil {
			t.Fatalf("%q and %q give %q: %v", file, changed, text, err)
		}
		if b, err := ParseApp(after); err == nil && len(b.Unknown) != len(a.Unknown) {
			t.Fatalf("%q and %q give %q: %q became %q", file, changed, text, a.Unknown, b.Unknown)
		}
	})
}
