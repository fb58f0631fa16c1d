//go:build linux

package e2e

import (
	"encoding/json"
	"errors"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"kpm/core/view"
	"kpm/vmtests/agent"
	"kpm/vmtests/apart"
)

// speaker publishes on a topic that its file does not name, and stays.
const speaker = `#!/bin/sh
sh -c 'exec mosquitto_pub --unix "$KEEPER_MQTT_SOCKET" -i "Speaks_$$" -q 1 -t Elsewhere -m hello'
exec sleep 1000
`

// TestDoctorRecognisesEachRow of the guide's troubleshooting table on an agent that
// has all of these troubles, and says to whom each belongs.
func TestDoctorRecognisesEachRow(t *testing.T) {
	a := newAgent(t, allowAll, func(a *agent.Agent) {
		lay(t, a, "Speaks", scriptFile("Speaks", kept, `"colour": "green"`), speaker)
		lay(t, a, "Crashes", scriptFile("Crashes", kept), "#!/bin/sh\nexit 3\n")
		lay(t, a, "Twice", scriptFile("Twice", kept), "#!/bin/sh\nexec sleep 1000\n")
		err := errors.Join(a.Write("Plugins/Missing.json", scriptFile("Missing", kept)), a.Write("Jobs/scan.json", `{"id": "scan", "name": "Scan", "enabled": true,
			"tasks": [{"id": "run", "command": "Twice", "executablePath": "{pluginroot}/bin/Twice/Twice"}]}`))
		if err != nil {
			t.Fatal(err)
		}
	})
	mustCLI(t, a, "settings", "put", "Speaks", "colour", "red")
	ports, err := a.Ports()
	if err != nil {
		t.Fatal(err)
	}
	if err := apart.Person(4242); err != nil {
		t.Fatal(err)
	}
	byHand := func(argv ...string) {
		cmd := exec.Command(argv[0], argv[1:]...)
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 4242, Gid: 4242}}
		if out, err := cmd.CombinedOutput(); err == nil {
			t.Errorf("%v was let in: %s", argv, out)
		}
	}
	ca := filepath.Join(a.Root, "run/ca.pem")
	byHand("/usr/bin/curl", "-sS", "--fail", "--cacert", ca, "https://127.0.0.1:"+strconv.Itoa(ports.HTTPS)+"/api/PluginSettings/Speaks")
	byHand("/usr/bin/mosquitto_pub", "-h", "127.0.0.1", "-p", strconv.Itoa(ports.MQTT), "--cafile", ca, "-i", "Speaks_1", "-t", "x", "-m", "y")

	// The table's symptoms, and the plugin that has each; those of strangers are nobody's.
	want := map[string]string{
		"Plugin does not start after deployment":       "Missing",
		"MQTT connection refused":                      "",
		"MQTT connects but publish is denied":          "Speaks",
		"GET /api/PluginSettings/{plugin} returns 403": "",
		"Settings changes not reflected":               "Speaks",
		"Plugin restarts unexpectedly in a loop":       "Crashes",
		"Duplicate processes detected":                 "Twice",
	}
	eventually(t, "each row is recognised", func() bool {
		out, _ := cli(a, "doctor", "--json") // which is not well
		var found []view.Diagnosis
		if err := json.Unmarshal([]byte(out), &found); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		rows := map[string]bool{}
		for _, d := range found {
			if plugin, known := want[d.Symptom]; !known || d.Remedy == "" || d.Found == "" {
				t.Fatalf("%+v", d)
			} else if plugin == d.Plugin {
				rows[d.Symptom] = true
			}
		}
		return len(rows) == len(want)
	})
	shown := mustCLI(t, a, "topics")
	for line := range strings.Lines(shown) {
		if strings.HasPrefix(line, "Speaks ") && strings.Contains(line, " Elsewhere ") && strings.Contains(line, "metadata.mqttTopics.publish in Plugins/Speaks.json") {
			return
		}
	}
	t.Errorf("the refusal is not shown:\n%s", shown)
}
