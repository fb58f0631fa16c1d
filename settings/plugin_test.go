package settings

import (
	"reflect"
	"testing"
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
