//go:build linux

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kpm/vmtests/agent"
)

// updating is a JobUpdate or SettingsUpdate policy as it is published.
func updating(id, kind, extension string) string {
	return fmt.Sprintf(`{"PolicyId": %q, "PolicyName": "Policy %s", "PolicyType": %q, "Status": "enabled",
 "UserCheck": ["*"], "MachineCheck": ["*"], "Extension": {%s}}`, id, id, kind, extension)
}

// withinAMinute waits for what a policy makes of a file.
func withinAMinute(t *testing.T, a *agent.Agent, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !ok(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s\n%s", what, a.Log())
		}
	}
}

// TestPoliciesWriteTheAgentsFiles: JobUpdate and SettingsUpdate, in their published
// form, add, replace and delete; what they write is in force and approved.
func TestPoliciesWriteTheAgentsFiles(t *testing.T) {
	const (
		add     = `"JobId": "nightly", "Action": "Add", "JobJson": "{\"id\": \"nightly\", \"name\": \"Nightly\", \"enabled\": true, \"tasks\": [{\"id\": \"t\", \"command\": \"echo\"}]}"`
		remove  = `"JobId": "nightly", "Action": "Delete"`
		foreign = `"JobId": "daily", "Action": "Add", "JobJson": "{\"id\": \"other\", \"tasks\": [{\"id\": \"t\", \"command\": \"echo\"}]}"`
		logger  = `"PluginName": "Extra", "Action": "Update", "SettingsJson": "{\"id\": \"Extra\", \"pluginType\": \"Executable\", \"executablePath\": \"bin/Extra/Extra\", \"supportedPlatforms\": [\"Windows\"], \"Subscription\": {\"Topic\": \"Extra\", \"Qos\": 2, \"CleanSession\": true}, \"metadata\": {\"mqttTopics\": {\"publish\": [], \"subscribe\": []}, \"colour\": \"blue\"}}"`
	)
	policies := func(list ...string) string { return "[" + strings.Join(list, ",") + "]" }
	a := newAgent(t, policies(updating("a", "JobUpdate", add), updating("b", "SettingsUpdate", logger), updating("c", "JobUpdate", foreign)), func(a *agent.Agent) {
		err := a.Write("appsettings.json", `{"Settings": {"KestrelHttpPort": 0, "KestrelHttpsPort": 0}, "MqttBrokerSettings": {"Port": 0}, "PluginMonitoring": {"PolicyProbeSeconds": 1}}`)
		if err != nil {
			t.Fatal(err)
		}
	})
	var job struct{ Name string }
	withinAMinute(t, a, "the job is there", func() bool { return ask(t, a, "GET", "/api/Jobs/nightly", &job) == nil })
	if job.Name != "Nightly" {
		t.Errorf("the job is called %q", job.Name)
	}
	withinAMinute(t, a, "the plugin has its settings", func() bool {
		var values map[string]string
		return ask(t, a, "GET", "/api/PluginSettings/Extra", &values) == nil && values["colour"] == "blue"
	})
	withinAMinute(t, a, "what is wrong with the third is said", func() bool {
		return strings.Contains(a.Log(), `id: found \"other\", expected \"daily\"`)
	})
	if out := mustCLI(t, a, "plugins", "approve", "--list"); strings.Contains(out, "nightly") || strings.Contains(out, "Extra") {
		t.Errorf("left to approve:\n%s", out)
	}
	if _, err := os.Stat(filepath.Join(a.Root, "Jobs/daily.json")); !os.IsNotExist(err) {
		t.Errorf("a job under another's name was written: %v", err)
	}
	if err := a.Write("Policies/policy.json", policies(updating("a", "JobUpdate", remove))); err != nil {
		t.Fatal(err)
	}
	withinAMinute(t, a, "the job is gone", func() bool {
		_, err := os.Stat(filepath.Join(a.Root, "Jobs/nightly.json"))
		return os.IsNotExist(err)
	})
	if _, err := os.Stat(filepath.Join(a.Root, "Plugins/Extra.json")); err != nil {
		t.Errorf("the plugin's file has gone with the policy: %v", err)
	}
}
