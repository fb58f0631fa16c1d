package keeperpolicy

import (
	"testing"

	"kpm/core"
	"kpm/core/wire"
)

// What policies make of the agent's files is for the service alone: files hold secrets,
// and a plugin may ask questions too.
func TestFileChangesAreForTheServiceAlone(t *testing.T) {
	root := agentRoot(t, map[string]string{"a.json": `{"PolicyId": "a", "PolicyName": "A", "PolicyType": "SettingsUpdate", "Status": "enforce",
		"Extension": {"PluginName": "Bridge", "SettingsJson": "{\"password\": \"x\"}"}}`})
	e, log := logged(Config{Root: root, Open: openAny})
	if !e.load(true) {
		t.Fatal(log)
	}
	put := func(source string, q wire.PolicyRequest) wire.PolicyResponse {
		m, err := wire.New(wire.TypePolicyRequest, source, q)
		if err != nil {
			t.Fatal(err)
		}
		_, response := e.answer(m)
		return response
	}
	service := core.ServicePrincipal().String()
	digest := put(service, wire.PolicyRequest{EventType: wire.EventProbe, UserID: "0", FilePath: "/", Arguments: []string{"/"}}).FileChangesDigest
	got := put(service, wire.FileChanges())
	want := core.FileChange{PolicyRef: core.PolicyRef{ID: "a", Name: "A"}, File: "Plugins/Bridge.json", Text: `{"password": "x"}`}
	if got.FileChanges == nil || len(got.FileChanges.Changes) != 1 || got.FileChanges.Changes[0] != want || got.FileChangesDigest != digest || digest == "" || got.Decision != core.Deny {
		t.Errorf("got %+v\nwant %+v with digest %s", got, want, digest)
	}
	if other := put("MyBridge", wire.FileChanges()); other.FileChanges != nil || other.FileChangesDigest != "" || other.Decision != core.Deny {
		t.Errorf("a plugin is told %+v", other)
	}
}
