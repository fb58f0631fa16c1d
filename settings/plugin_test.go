package settings

import (
	"maps"
	"reflect"
	"testing"

	"kpm/core/strictjson"
)

func document(t *testing.T, text string) Document {
	t.Helper()
	doc, err := ParseDocument("Plugins/P.json", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

func TestEffectiveIsTheFileFlatOverDefaults(t *testing.T) {
	for _, tc := range []struct {
		name, plugin, file string
		want               map[string]string
	}{
		{"defaults alone", "KeeperPolicy", `{}`, map[string]string{
			"policy.enforceForAdministrators": "false",
		}},
		{"variables become paths", "KeeperLogger", `{"log.rotation.size_mb": 20}`, map[string]string{
			"log.file.path":          "/agent/Plugins/bin/KeeperLogger/Log/KeeperLogger.log",
			"log.rotation.size_mb":   "20",
			"log.retention.days":     "15",
			"log.retention.total_mb": "200", "log.format": "text", "log.level": "Trace", "log.system": "off",
			"log.http.url": "", "log.http.authorization": "", "log.http.ca_file": "", "log.http.batch": "100",
		}},
		{"metadata with and without its prefix", "MyBridge", `{"metadata": {"redirect": {"enabled": true}, "limit": 1e3}}`, map[string]string{
			"redirect.enabled":          "true",
			"metadata.redirect.enabled": "true",
			"limit":                     "1e3",
			"metadata.limit":            "1e3",
		}},
		{"lists and objects are compact JSON", "MyBridge", `{"Subscription": {"Topic": "T", "Qos": 2}, "metadata": {"list": [1, "<a>", {"b": null}], "empty": {}}}`, map[string]string{
			"Subscription":   `{"Qos":2,"Topic":"T"}`,
			"list":           `[1,"<a>",{"b":null}]`,
			"metadata.list":  `[1,"<a>",{"b":null}]`,
			"empty":          `{}`,
			"metadata.empty": `{}`,
		}},
		{"null is not given", "KeeperPolicy", `{"policy.enforceForAdministrators": null, "x": null}`, map[string]string{
			"policy.enforceForAdministrators": "false",
		}},
		{"the root wins over metadata", "MyBridge", `{"METADATA": {"id": "Other"}, "id": "MyBridge"}`, map[string]string{
			"id":          "MyBridge",
			"metadata.id": "Other",
		}},
		{"another letter case replaces the default", "RedirectEvaluator", `{"metadata": {"Redirect": {"Enabled": true}}}`, map[string]string{
			"Redirect.Enabled":          "true",
			"metadata.Redirect.Enabled": "true",
		}},
		{"unknown variables stay", "MyBridge", `{"path": "{approot}/x/{other}", "text": "a {"}`, map[string]string{
			"path": "/agent/x/{other}",
			"text": "a {",
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			e := NewEffective(At("/agent", ""))
			if err := e.Put(tc.plugin, document(t, tc.file)); err != nil {
				t.Fatal(err)
			}
			if got, ok := e.All(tc.plugin); !ok || !reflect.DeepEqual(got, tc.want) {
				t.Errorf("got  %v\nwant %v", got, tc.want)
			}
		})
	}
}

func TestEffectiveFindsPluginsAndKeysInAnyLetterCase(t *testing.T) {
	e := NewEffective(At("/agent", ""))
	if err := e.Put("KeeperAPI", document(t, `{"id": "KeeperAPI", "metadata": {"syncFrequency": 10}}`)); err != nil {
		t.Fatal(err)
	}
	if got, ok := e.Get("KeeperApi", "SyncFrequency"); !ok || got != "10" {
		t.Errorf("KeeperApi SyncFrequency = %q, %v", got, ok)
	}
	if _, ok := e.Get("KeeperApi", "absent"); ok {
		t.Error("an absent key was found")
	}
	if _, ok := e.All("Nobody"); ok {
		t.Error("an absent plugin was found")
	}
}

func TestBrokerPortIsThereOnlyWhileItIsHeld(t *testing.T) {
	e := NewEffective(At("/agent", ""))
	if _, ok := e.Get(AgentWide, "broker.port"); ok {
		t.Error("a port is advertised before it is held")
	}
	e.SetBroker("::1", 8675)
	all, _ := e.All(AgentWide)
	if want := (map[string]string{"broker.host": "::1", "broker.port": "8675"}); !reflect.DeepEqual(all, want) {
		t.Errorf("got %v, want %v", all, want)
	}
	e.SetBroker("::1", 0)
	if _, ok := e.Get(AgentWide, "broker.port"); ok {
		t.Error("a port is advertised after it was given up")
	}
}

func TestAllReturnsACopy(t *testing.T) {
	e := NewEffective(At("/agent", ""))
	all, _ := e.All("KeeperPolicy")
	all["policy.enforceForAdministrators"] = "true"
	if got, _ := e.Get("KeeperPolicy", "policy.enforceForAdministrators"); got != "false" {
		t.Error("a caller changed the settings through its copy")
	}
}

func BenchmarkEffectiveGet(b *testing.B) {
	e := NewEffective(At("/agent", ""))
	b.ReportAllocs()
	for b.Loop() {
		e.Get("RedirectEvaluator", "metadata.redirect.enabled")
	}
}

func TestWhatIsStoredLiesOverFileAndDefault(t *testing.T) {
	e := NewEffective(At("/agent", ""))
	doc, err := ParseDocument("A.json", []byte(`{"id": "A", "colour": "blue", "metadata": {"redirect": {"enabled": true}, "colour": "red"}}`))
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Put("A", doc); err != nil {
		t.Fatal(err)
	}
	e.Store("a", "Redirect.Enabled", "false")
	e.Store("a", "metadata.redirect.enabled", "maybe") // the same setting
	e.Store("A", "colour", "green")                    // another one than metadata.colour
	e.Store("A", "new", "1")
	for key, want := range map[string]Explained{
		"redirect.enabled": {"maybe", FromStore, ""}, "metadata.redirect.enabled": {"maybe", FromStore, ""},
		"colour": {"green", FromStore, ""}, "metadata.colour": {"red", FromFile, "A.json"}, "new": {"1", FromStore, ""},
	} {
		all, _ := e.Explain("A")
		if got := all[key]; got != want {
			t.Errorf("%s is %+v, want %+v", key, got, want)
		}
	}
	e.Unstore("A")
	if got, _ := e.Get("A", "redirect.enabled"); got != "true" {
		t.Errorf("after a revert: %q", got)
	}
	// Stored values wait for the file of a plugin that is gone.
	e.Store("B", "x", "1")
	if _, known := e.All("B"); known {
		t.Error("a plugin without a file is known")
	}
	e.SetBroker("127.0.0.1", 8675)
	e.Store(AgentWide, "broker.host", "203.0.113.1")
	if got, _ := e.Get(AgentWide, "broker.host"); got != "127.0.0.1" {
		t.Errorf("broker.host is %q", got)
	}
}

// Whatever is stored is what the plugin reads, under each name that the setting
// has, until it is taken away again; and no name makes another setting of it.
func FuzzStoredSettings(f *testing.F) {
	f.Add(`{"id": "P", "colour": "blue", "metadata": {"shade": "dark", "deep": {"er": 1}}}`, "metadata.deep.er", "2")
	f.Add(`{"metadata": {"colour": "red"}, "colour": "blue"}`, "COLOUR", "{approot}")
	f.Add(`{}`, "metadata.metadata.x", "\x00")
	f.Fuzz(func(t *testing.T, file, key, value string) {
		doc, err := ParseDocument("P.json", []byte(file))
		if err != nil {
			return
		}
		e := NewEffective(At("/agent", ""))
		if err := e.Put("P", doc); err != nil {
			t.Fatal(err)
		}
		before, _ := e.All("P")
		e.Store("P", key, value)
		after, _ := e.All("P")
		for _, name := range []string{key, e.Alias("P", key)} {
			if got, ok := e.Get("p", name); name != "" && (!ok || got != value) {
				t.Errorf("%q is %q, %v", name, got, ok)
			}
		}
		for name, was := range before {
			mine := strictjson.Fold(name) == strictjson.Fold(key) || strictjson.Fold(name) == strictjson.Fold(e.Alias("P", key))
			if now, ok := after[name]; !mine && (!ok || now != was) {
				t.Errorf("storing %q made %q %q, it was %q", key, name, now, was)
			}
		}
		e.Unstore("P")
		if left, _ := e.All("P"); !maps.Equal(left, before) {
			t.Errorf("%v is left, it was %v", left, before)
		}
	})
}
