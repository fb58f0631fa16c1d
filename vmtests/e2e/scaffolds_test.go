//go:build linux

package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"kpm/core/view"
	"kpm/vmtests/agent"
	"kpm/vmtests/apart"
)

// prober is a plugin that says on the bus what its setting "say" tells it, and
// writes what it hears to a file. It knows nothing of our code.
const prober = `#!/usr/bin/python3
import json, os, ssl, sys, urllib.request
import paho.mqtt.client as mqtt
NAME, OUT = "Prober", sys.argv[1]
tls = ssl.create_default_context(cafile=os.environ["KEEPER_CA_FILE"])
def settings(plugin):
    with urllib.request.urlopen(os.environ["KEEPER_API_BASE_URL"] + "/api/PluginSettings/" + plugin, context=tls) as r:
        return json.load(r)
def message(client, userdata, m):
    if m.topic == "PluginSettings/Prober":
        topic, _, text = settings(NAME)["say"].partition(" ")
        client.publish(topic, text, qos=2)
        with open(OUT, "a") as f:
            f.write("said " + topic + " " + text + "\n")
        return
    with open(OUT, "a") as f:
        f.write(m.topic + " " + m.payload.decode() + "\n")
client = mqtt.Client(client_id=f"{NAME}_{os.getpid()}")
client.tls_set_context(tls)
client.on_message = message
client.on_connect = lambda c, *_: c.subscribe([("Prober", 2), ("PluginSettings/Prober", 1), ("+/Responses/+", 2)])
broker = settings("KeeperPrivilegeManager")
client.connect(broker["broker.host"], int(broker["broker.port"]))
client.loop_forever()
`

const proberFile = `{
	"id": "Prober", "pluginType": "Executable", "executablePath": "bin/Prober/Prober", "arguments": "'{approot}/State/heard'",
	"supportedPlatforms": ["Linux"], "Subscription": {"Topic": "Prober", "Qos": 2},
	"metadata": {"mqttTopics": {"publish": ["Bridge/Commands/+", "Bridge"], "subscribe": ["+/Responses/+", "PluginSettings/Prober"]}},
	"autoStart": true, "requiresMonitoring": true, "autoRestart": true, "startupPriority": 90
}`

// lay writes a plugin that is a script into an agent root.
func lay(t *testing.T, a *agent.Agent, id, file, script string) {
	t.Helper()
	if err := errors.Join(a.Write("Plugins/"+id+".json", file), a.Write("Plugins/bin/"+id+"/"+id, script)); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(a.Root, "Plugins/bin", id, id), 0o755); err != nil {
		t.Fatal(err)
	}
}

// cli runs KeeperAdminCLI on the agent's root.
func cli(a *agent.Agent, args ...string) (string, error) {
	cmd := exec.Command(filepath.Join(a.Root, "KeeperAdminCLI"), append([]string{"--root", a.Root}, args...)...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func mustCLI(t *testing.T, a *agent.Agent, args ...string) string {
	t.Helper()
	out, err := cli(a, args...)
	if err != nil {
		t.Fatalf("%v: %v\n%s\n%s", args, err, out, a.Log())
	}
	return out
}

func shellIn(t *testing.T, dir, line string) {
	t.Helper()
	cmd := exec.Command("sh", "-c", line)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", line, err, out)
	}
}

// TestScaffolds: what `plugins new` writes passes the guide's checklist as it is,
// for each language whose runtime is installed, and does what a plugin does:
// answers at QoS 2, follows its settings, comes back after a crash, gets what
// arrived meanwhile, and is refused when it is started by hand.
func TestScaffolds(t *testing.T) {
	source, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ language, make string }{
		{"python", "/usr/bin/python3 -m unittest test_Bridge.py"},
		{"shell", "sh test.sh"},
		{"node", "npm install --omit=dev --no-audit --no-fund && node --test"},
		{"go", "go mod tidy && go test . && CGO_ENABLED=0 go build -o Bridge ."},
	} {
		t.Run(c.language, func(t *testing.T) {
			a := newAgent(t, allowAll, func(a *agent.Agent) { lay(t, a, "Prober", proberFile, prober) })
			dir := t.TempDir()
			cmd := exec.Command(filepath.Join(a.Root, "KeeperAdminCLI"), "plugins", "new", "Bridge", "--lang", c.language, "--sdk", source)
			cmd.Dir = dir
			out, err := cmd.CombinedOutput()
			if err != nil || !strings.Contains(string(out), "plugins install") {
				t.Fatalf("%v\n%s", err, out)
			}
			shellIn(t, filepath.Join(dir, "Bridge"), c.make)
			if out, err := cli(a, "plugins", "check", filepath.Join(dir, "Bridge", "Bridge.json")); err == nil || !strings.Contains(out, "no program at") {
				t.Errorf("before it is installed: %v\n%s", err, out)
			}
			mustCLI(t, a, "plugins", "install", filepath.Join(dir, "Bridge"))
			installed := map[string]string{"python": "Bridge.py", "node": "Bridge.mjs"}[c.language]
			if installed == "" {
				installed = "Bridge"
			}
			(&trial{t: t, Agent: a}).behaves(installed, c.language != "shell") // which has one greeting
		})
	}
}

// trial is a plugin Bridge that is installed beside the prober, which talks to it.
type trial struct {
	*agent.Agent
	t    *testing.T
	said int
}

// heard is what the prober has said and heard.
func (r *trial) heard() string {
	data, _ := os.ReadFile(filepath.Join(r.Root, "State/heard"))
	return string(data)
}

// say has the prober publish: the topic, and the text behind a space.
func (r *trial) say(text string) {
	r.t.Helper()
	mustCLI(r.t, r.Agent, "settings", "put", "Prober", "say", text)
	r.said++
	eventually(r.t, "it is said: "+text, func() bool { return strings.Count(r.heard(), "said ") == r.said })
}

func (r *trial) hears(command, answer string) {
	r.t.Helper()
	eventually(r.t, "the answer is heard: "+answer, func() bool {
		for line := range strings.Lines(strings.ToLower(r.heard())) {
			if strings.HasPrefix(line, "bridge/responses/"+command+" ") && strings.Contains(line, answer) {
				return true
			}
		}
		return false
	})
}

// behaves holds Bridge, whose program has that name, against all that a plugin
// does; greets says that it follows its setting greeting.
func (r *trial) behaves(program string, greets bool) {
	t, a := r.t, r.Agent
	eventually(t, "every item of the checklist passes", func() bool {
		var checks []view.Check
		out, err := cli(a, "plugins", "check", "Bridge", "--json")
		if err != nil || json.Unmarshal([]byte(out), &checks) != nil || len(checks) != 11 {
			t.Fatalf("%v\n%s", err, out)
		}
		return !slices.ContainsFunc(checks, func(c view.Check) bool { return c.Outcome != view.Pass })
	})
	r.say("Bridge/Commands/first one")
	r.hears("first", "hello one")
	if greets {
		mustCLI(t, a, "settings", "put", "Bridge", "greeting", "good day,")
		eventually(t, "the new greeting is used", func() bool {
			r.say("Bridge/Commands/again two")
			return strings.Contains(r.heard(), "good day, TWO")
		})
		mustCLI(t, a, "settings", "revert", "Bridge")
	}
	eventually(t, "its log arrives", func() bool {
		out, err := cli(a, "plugins", "logs", "Bridge")
		return err == nil && strings.Contains(out, "ready")
	})
	r.byHand(program)
	crashed, err := a.Plugin(context.Background(), "Bridge")
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(crashed.ProcessID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is back", func() bool {
		now, err := a.Plugin(context.Background(), "Bridge")
		return err == nil && now.Status == "Healthy" && now.ProcessID != crashed.ProcessID
	})
	mustCLI(t, a, "plugins", "stop", "Bridge")
	r.say("Bridge/Commands/meanwhile three")
	r.say("Bridge/Commands/meanwhile four")
	_, _ = cli(a, "plugins", "start", "Bridge") // which may be asked how it is before it has subscribed
	eventually(t, "it is healthy again", func() bool {
		now, err := a.Plugin(context.Background(), "Bridge")
		return err == nil && now.Status == "Healthy"
	})
	r.hears("meanwhile", "hello three")
	r.hears("meanwhile", "hello four")
	mustCLI(t, a, "plugins", "remove", "Bridge")
	if _, err := os.Lstat(filepath.Join(a.Root, "Plugins/bin/Bridge")); !os.IsNotExist(err) {
		t.Errorf("its program is still there: %v", err)
	}
}

// refusal is what programs print when the API or the broker has refused them.
var refusal = regexp.MustCompile(`(?i)\b403\b|not authori[sz]ed`)

// byHand starts the installed program as somebody who is no administrator, with the
// environment that the agent would give it: it is refused.
func (r *trial) byHand(program string) {
	r.t.Helper()
	ports, err := r.Ports()
	if err != nil {
		r.t.Fatal(err)
	}
	if err := apart.Person(4242); err != nil {
		r.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(r.t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(r.Root, "Plugins/bin/Bridge", program))
	cmd.Dir = r.Root
	cmd.Env = []string{
		"PATH=/usr/bin:/bin", "KEEPER_AGENT_ROOT=" + r.Root, "KEEPER_CA_FILE=" + filepath.Join(r.Root, "run/ca.pem"),
		"KEEPER_API_BASE_URL=https://127.0.0.1:" + strconv.Itoa(ports.HTTPS), "KEEPER_MQTT_SOCKET=" + ports.MQTTLocal,
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 4242, Gid: 4242}}
	if out, err := cmd.CombinedOutput(); err == nil || !refusal.Match(out) {
		r.t.Errorf("started by hand: %v\n%s", err, out)
	}
}

// TestStartedByHand: a user's own copy of a plugin is refused, by the API and by
// the broker.
func TestStartedByHand(t *testing.T) {
	a := newAgent(t, allowAll, nil)
	client := a.Client()
	defer client.CloseIdleConnections()
	ports, err := a.Ports()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/usr/bin/curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", "--cacert", filepath.Join(a.Root, "run/ca.pem"),
		"https://127.0.0.1:"+strconv.Itoa(ports.HTTPS)+"/api/PluginSettings/KeeperLogger")
	if err := apart.Person(4242); err != nil {
		t.Fatal(err)
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 4242, Gid: 4242}}
	if out, err := cmd.CombinedOutput(); err != nil || string(out) != "403" {
		t.Errorf("%v %s", err, out)
	}
	answer, err := client.Get("http://localhost/api/PluginSettings/KeeperLogger")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if body, _ := io.ReadAll(answer.Body); answer.StatusCode != http.StatusOK {
		t.Errorf("root is answered %s %s", answer.Status, body)
	}
	eventually(t, "doctor knows it", func() bool {
		out, err := cli(a, "doctor")
		return err != nil && strings.Contains(out, "GET /api/PluginSettings/{plugin} returns 403")
	})
}
