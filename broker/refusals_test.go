package broker

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"kpm/core"
)

// Every refusal is shown with its topic and the list that lacks it.
func TestRefusalsAreShown(t *testing.T) {
	b := newBus(t)
	b.SetPlugins([]Plugin{keeping(bridge)})
	r := b.admitted(bridge, 5)
	for range 3 {
		r.sends("Nosy/x", 1, 1, "x")
	}
	r.subscribe("Nosy/+", 1)
	r.subscribe("$share/g/MyBridge", 1)
	r.sends("Replies/KeeperPrivilegeManager/x", 1, 1, "x")
	j := b.admitted(job, 4)
	j.sends("Nosy/y", 1, 1, "x")
	j.subscribe("MyBridge", 1)
	newRaw(t, b.dial(alice), 4).connect(connecting{id: "x"})

	shown := b.Topics()
	want := map[string]string{
		"publish Nosy/x 3":                           "metadata.mqttTopics.publish in Plugins/MyBridge.json",
		"subscription Nosy/+ 1":                      "metadata.mqttTopics.subscribe in Plugins/MyBridge.json",
		"subscription $share/g/MyBridge 1":           "",
		"publish Replies/KeeperPrivilegeManager/x 1": "",
		"publish Nosy/y 1":                           "mqttTopics.allowedPublications in Jobs/some-job.json",
		"subscription MyBridge 1":                    "mqttTopics.allowedSubscriptions in Jobs/some-job.json",
		"connection  1":                              "",
	}
	if len(shown.Refusals) != len(want) {
		t.Errorf("%d refusals: %+v", len(shown.Refusals), shown.Refusals)
	}
	for _, got := range shown.Refusals {
		key := fmt.Sprintf("%s %s %d", got.Operation, got.Topic, got.Count)
		if missing, ok := want[key]; !ok || missing != got.Missing || got.Reason == "" || got.Principal == "" {
			t.Errorf("%s: %+v", key, got)
		}
	}
	for _, s := range shown.Speakers {
		if s.Name == "MyBridge" && (s.Topic != "MyBridge" || s.Connections != 1 || !s.Keeps || len(s.Publish) != len(bridge.publish)) ||
			s.Name == "some-job" && (s.Kind != "job" || s.Connections != 1 || len(s.Publish) != len(job.publish)) {
			t.Errorf("%+v", s)
		}
	}
	if data, err := json.Marshal(shown); err != nil || strings.Contains(string(data), "null") {
		t.Errorf("%s %v", data, err)
	}
}

// Nobody's refusals hide another's, or grow without bound.
func TestShownRefusalsAreBounded(t *testing.T) {
	b := newBus(t)
	b.noteRefusal(core.Principal{Kind: core.Plugin, Name: "Quiet"}, Refusal{Operation: "publish", Topic: "x"})
	for i := range 10 * maxRefusals {
		b.noteRefusal(core.Principal{Kind: core.Plugin, Name: "Loud"}, Refusal{Operation: "publish", Topic: fmt.Sprint(i)})
	}
	of := map[string]int{}
	for _, r := range b.Topics().Refusals {
		of[r.Principal]++
	}
	if of["Quiet"] != 1 || of["Loud"] != maxRefusals {
		t.Errorf("%v", of)
	}
	for i := range 2 * maxRefused {
		b.noteRefusal(core.Principal{Kind: core.User, User: core.UserID(fmt.Sprint(i))}, Refusal{Operation: "connection"})
	}
	if got := len(b.Topics().Refusals); got != maxRefused {
		t.Errorf("%d refusals are kept", got)
	}
	last := b.Topics().Refusals[0]
	if last.Principal != fmt.Sprint("User-", 2*maxRefused-1) {
		t.Errorf("the latest is %+v", last)
	}
}
