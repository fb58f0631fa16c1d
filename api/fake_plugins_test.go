package api_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"kpm/core"
	corefault "kpm/core/fault"
	"kpm/core/view"
)

// The world as what the API asks about plugins, settings and files.

type pluginsOf struct{ *world }

func (p pluginsOf) List() []view.Plugin { return p.plugins }

var errNoPlugin = core.NewError(core.NotFound, "no such plugin")

func (p pluginsOf) Health(id string) (view.PluginHealth, error) {
	for _, one := range p.plugins {
		if strings.EqualFold(one.ID, id) {
			return view.PluginHealth{ID: one.ID, Status: one.Status, ProcessID: one.ProcessID, UptimeSeconds: 1.5, LastStderr: []string{"x"}}, nil
		}
	}
	return view.PluginHealth{}, errNoPlugin
}

func (p pluginsOf) Monitoring() view.Monitoring {
	one, _ := p.Health("KeeperPolicy")
	return view.Monitoring{IntervalSeconds: 10, Plugins: []view.PluginHealth{one}}
}

func (p pluginsOf) control(what, id string) error {
	if _, err := p.Health(id); err != nil {
		return err
	}
	if id == "Broken" {
		return core.NewError(core.Conflict, "the plugin cannot run: no such file")
	}
	return p.move(what + " " + id)
}

func (p pluginsOf) StartPlugin(_ context.Context, id string) error   { return p.control("start", id) }
func (p pluginsOf) StopPlugin(_ context.Context, id string) error    { return p.control("stop", id) }
func (p pluginsOf) RestartPlugin(_ context.Context, id string) error { return p.control("restart", id) }

func (p pluginsOf) Reload(context.Context) (view.PluginsReloaded, error) {
	none := []string{}
	return view.PluginsReloaded{Added: none, Removed: none, Restarted: []string{"Chat"}, Settings: none, Broken: map[string]string{"Broken": "no such file"}}, p.move("reload")
}

type settingsOf struct{ *world }

func (s settingsOf) Explain(plugin string) (map[string]view.Setting, bool) {
	all, ok := s.settings[plugin]
	explained := map[string]view.Setting{}
	for key, value := range all {
		explained[key] = view.Setting{Value: value, Source: "file", File: plugin + ".json"}
	}
	return explained, ok
}

func (s settingsOf) Secret(_, key string) bool { return key == "token" }

func (s settingsOf) Put(_ context.Context, by core.Principal, plugin, key, value string) error {
	if _, ok := s.settings[plugin]; !ok {
		return errNoPlugin
	}
	if key == "id" {
		return core.NewError(core.Conflict, "id is what the file says")
	}
	return s.move(fmt.Sprintf("put %s %s=%s by %s", plugin, key, value, by))
}

func (s settingsOf) Revert(by core.Principal, plugin string) ([]string, error) {
	if _, ok := s.settings[plugin]; !ok {
		return nil, errNoPlugin
	}
	return []string{"colour"}, s.move("revert " + plugin)
}

func (s settingsOf) RevertAll(core.Principal) (map[string][]string, error) {
	return map[string][]string{"Chat": {"colour"}}, s.move("revert all")
}

type goodOf struct{ *world }

func (goodOf) Unapproved() ([]view.Unapproved, error) {
	return []view.Unapproved{{Path: "Plugins/Chat.json", Change: "changed", Found: "aa", Good: "bb"}}, nil
}

func (g goodOf) Approve(_ core.Principal, id string) (view.Approved, error) {
	if id == "nobody" {
		return view.Approved{}, errNoPlugin
	}
	return view.Approved{Approved: []string{"Plugins/Chat.json"}}, g.move("approve " + id)
}

type doctorOf struct{ *world }

func (d doctorOf) Check(_ context.Context, id string) ([]view.Check, error) {
	if _, err := (pluginsOf(d)).Health(id); err != nil {
		return nil, err
	}
	return []view.Check{{Item: 1, Title: "t", Outcome: view.Fail, Found: "f", Remedy: "r"}}, nil
}

func (d doctorOf) CheckFile(context.Context, string, []byte) ([]view.Check, error) {
	return []view.Check{{Item: 1, Title: "t", Outcome: view.Pass, Found: "f"}}, nil
}

func (d doctorOf) Diagnose(context.Context) []view.Diagnosis {
	return []view.Diagnosis{{Symptom: "s", Plugin: "p", Found: "f", Remedy: "r"}}
}

func (d doctorOf) Topics() view.Topics {
	return view.Topics{
		Speakers: []view.Speaker{{Name: "Chat", Kind: "plugin", Topic: "Chat", Publish: []string{"x"}, Subscribe: []string{}, Subscribed: []string{"Chat"}}},
		Refusals: []view.Refusal{{Principal: "Chat", Operation: "publish", Topic: "y", Reason: "not declared", Missing: "metadata.mqttTopics.publish", Count: 1}},
		Dropped:  []view.Dropped{{Cause: "queue-full", Why: "its queue was full", Messages: 7}},
	}
}

type applicationOf struct{ *world }

func (applicationOf) Sections() map[string]map[string]json.RawMessage {
	return map[string]map[string]json.RawMessage{"Settings": {"KestrelHttpPort": json.RawMessage("6888")}}
}

func (a applicationOf) ReloadPolicies(ctx context.Context) view.Reloaded { return a.Reload(ctx) }

func (a applicationOf) Reload(context.Context) view.Reloaded {
	none := []string{}
	done := view.Reloaded{Settings: none, RestartRequired: none, Jobs: none, Problems: none, Plugins: view.PluginsReloaded{Added: none, Removed: none, Restarted: none, Settings: none, Broken: map[string]string{}}}
	if err := a.move("reload"); err != nil {
		done.Problems = []string{err.Error()}
	}
	return done
}

func (a applicationOf) Change(_ context.Context, _ core.Principal, body []byte) (view.ApplicationSettingsPut, error) {
	if strings.Contains(string(body), "wrong") {
		return view.ApplicationSettingsPut{}, corefault.List{
			{Field: "Settings:KestrelHttpPort", Found: "wrong", Expected: "0, 1024-65535"}, {Field: "Requests:MaxOpen", Found: "0", Expected: "1-4096"},
		}
	}
	return view.ApplicationSettingsPut{Changed: []string{}, RestartRequired: []string{"Settings:KestrelHttpPort"}}, a.move("settings " + string(body))
}
