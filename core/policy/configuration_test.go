package policy

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"kpm/core"
	"kpm/core/controls"
)

// Policies of types SettingsUpdate and JobUpdate, as they are published, say what the
// agent's own files are to hold.
func TestFileChanges(t *testing.T) {
	extension := func(text string) string { return `, "Extension": {` + text + `}` }
	const job = `"{\"id\": \"nightly\", \"name\": \"Nightly\", \"enabled\": true, \"tasks\": [{\"id\": \"t\", \"command\": \"echo\"}]}"`
	nightly := `{"id": "nightly", "name": "Nightly", "enabled": true, "tasks": [{"id": "t", "command": "echo"}]}`
	monday := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	for _, tc := range []struct {
		name string
		sketch
		want *core.FileChange // nil: it changes nothing
	}{
		{"a job is added", sketch{kind: "JobUpdate", extra: extension(`"JobId": "nightly", "Action": "Add", "JobJson": ` + job)}, &core.FileChange{File: "Jobs/nightly.json", Text: nightly}},
		{"is updated", sketch{kind: "JobUpdate", extra: extension(`"jobid": "nightly", "action": "update", "JobJson": ` + job)}, &core.FileChange{File: "Jobs/nightly.json", Text: nightly}},
		{"is deleted", sketch{kind: "JobUpdate", extra: extension(`"JobId": "nightly", "Action": "Delete"`)}, &core.FileChange{File: "Jobs/nightly.json"}},
		{"settings of a plugin", sketch{kind: "SettingsUpdate", status: "enabled", extra: extension(`"PluginName": "KeeperPolicy", "Action": "Update", "SettingsJson": "{\"id\": \"KeeperPolicy\"}"`)}, &core.FileChange{File: "Plugins/KeeperPolicy.json", Text: `{"id": "KeeperPolicy"}`}},
		{"of a file", sketch{kind: "SettingsUpdate", extra: extension(`"TargetFile": "Plugins\\KeeperLogger.json", "SettingsJson": "{}"`)}, &core.FileChange{File: "Plugins/KeeperLogger.json", Text: `{}`}},
		{"of the application", sketch{kind: "SettingsUpdate", extra: extension(`"TargetFile": "appsettings.json", "SettingsJson": {"Settings": {}}`)}, &core.FileChange{File: "appsettings.json", Text: `{"Settings": {}}`}},
		{"a key that others know", sketch{kind: "SettingsUpdate", extra: extension(`"PluginName": "A", "SettingsJson": "{}", "Origin": "console"`)}, &core.FileChange{File: "Plugins/A.json", Text: `{}`}},

		{"switched off", sketch{kind: "JobUpdate", status: "off", extra: extension(`"JobId": "nightly", "Action": "Delete"`)}, nil},
		{"monitoring", sketch{kind: "JobUpdate", status: "monitor", extra: extension(`"JobId": "nightly", "Action": "Delete"`)}, nil},
		{"another machine", sketch{kind: "JobUpdate", machines: []string{"db1"}, extra: extension(`"JobId": "nightly", "Action": "Delete"`)}, nil},
		{"another day", sketch{kind: "JobUpdate", extra: extension(`"JobId": "nightly", "Action": "Delete"`) + `, "DayCheck": [0]`}, nil},
		{"no action", sketch{kind: "JobUpdate", extra: extension(`"JobId": "nightly", "JobJson": ` + job)}, nil},
		{"no text", sketch{kind: "JobUpdate", extra: extension(`"JobId": "nightly", "Action": "Add"`)}, nil},
		{"no JSON", sketch{kind: "JobUpdate", extra: extension(`"JobId": "nightly", "Action": "Add", "JobJson": "{"`)}, nil},
		{"a list", sketch{kind: "JobUpdate", extra: extension(`"JobId": "nightly", "Action": "Add", "JobJson": "[]"`)}, nil},
		{"a key that is nearly one", sketch{kind: "JobUpdate", extra: extension(`"JobId": "nightly", "Action": "Delete", "JobJsn": "{}"`)}, nil},
		{"two jobs", sketch{kind: "JobUpdate", extra: extension(`"JobId": "nightly", "jobId": "daily", "Action": "Delete"`)}, nil},
		{"two files", sketch{kind: "SettingsUpdate", extra: extension(`"PluginName": "A", "TargetFile": "Plugins/A.json", "SettingsJson": "{}"`)}, nil},
		{"a longer file", sketch{kind: "SettingsUpdate", extra: extension(`"PluginName": "A", "SettingsJson": {"x": "` + strings.Repeat("x", maxFileText) + `"}`)}, nil},
		// Attack: who may write policies of this type reaches what they are not for.
		{"above the root", sketch{kind: "SettingsUpdate", extra: extension(`"TargetFile": "../../etc/cron.d/x.json", "SettingsJson": "{}"`)}, nil},
		{"by a plugin's name", sketch{kind: "SettingsUpdate", extra: extension(`"PluginName": "../Policies/x", "SettingsJson": "{}"`)}, nil},
		{"a policy", sketch{kind: "SettingsUpdate", extra: extension(`"TargetFile": "Policies/x.json", "SettingsJson": "{}"`)}, nil},
		{"what the service keeps", sketch{kind: "SettingsUpdate", extra: extension(`"TargetFile": "State/x.json", "SettingsJson": "{}"`)}, nil},
		{"a program", sketch{kind: "SettingsUpdate", extra: extension(`"TargetFile": "Plugins/bin/A/A.json", "SettingsJson": "{}"`)}, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tc.sketch.id, tc.sketch.controls = "p", "ALLOW"
			got := compileSketches(t, linux(), tc.sketch).FileChanges("web1", monday)
			var want core.FileChanges
			if tc.want != nil {
				tc.want.PolicyRef = core.PolicyRef{ID: "p"}
				want.Changes = []core.FileChange{*tc.want}
			}
			for i := range got.Changes {
				got.Changes[i].Name = ""
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// Nothing is wrong with such a policy; what is wrong with one is said where it stands.
func TestFindingsOfFileChanges(t *testing.T) {
	for extension, want := range map[string]string{
		`"JobId": "nightly", "Action": "Delete"`:             "",
		`"JobId": "a_b", "Action": "Delete"`:                 `$.Extension.JobId: found "a_b", expected the id of a job`,
		`"JobId": "a/b", "Action": "Delete"`:                 `$.Extension.JobId: found "a/b", expected the id of a job`,
		`"JobId": "nightly", "Action": "Drop"`:               `$.Extension.Action: found "Drop", expected Add, Update or Delete`,
		`"JobId": "nightly", "Action": "Add"`:                `$.Extension.JobJson: found none, expected the whole file`,
		`"JobId": "n", "Action": "Add", "JobJson": "{\"x\""`: `$.Extension.JobJson: found no valid JSON`,
	} {
		_, findings := compileWith(t, New(Kinds(), controls.Standard()), sketch{kind: "JobUpdate", controls: "ALLOW", extra: `, "Extension": {` + extension + `}`})
		got := ""
		for _, f := range findings {
			got += f.Severity.String() + ": " + f.Error()
		}
		if (got == "") != (want == "") || !strings.Contains(got, want) {
			t.Errorf("%s: %s\nwant %s", extension, got, want)
		}
	}
}

// One answer holds so much; what there was no room for is counted.
func TestFileChangesAreBounded(t *testing.T) {
	var list []sketch
	text := strings.Repeat("x", 200<<10)
	for _, id := range []string{"a", "b", "c"} {
		list = append(list, sketch{id: id, kind: "SettingsUpdate", controls: "ALLOW", extra: `, "Extension": {"PluginName": "` + id + `", "SettingsJson": {"x": "` + text + `"}}`})
	}
	if got := compileSketches(t, linux(), list...).FileChanges("web1", time.Now()); len(got.Changes) != 2 || got.More != 1 {
		t.Errorf("%d changes, %d more", len(got.Changes), got.More)
	}
}
