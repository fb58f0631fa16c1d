//go:build linux

package e2e

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"kpm/vmtests/agent"
)

// busClient is what the Python plugins below have in common: the guide's way to
// the broker, with nothing but Debian's paho.
const busClient = `#!/usr/bin/python3
import json, os, ssl, sys, time, urllib.request
import paho.mqtt.client as mqtt
unverified = ssl.create_default_context(cafile=os.environ["KEEPER_CA_FILE"])
def setting(plugin):
    with urllib.request.urlopen(os.environ["KEEPER_API_BASE_URL"] + "/api/PluginSettings/" + plugin, context=unverified) as answer:
        return json.load(answer)
def connect(name, clean, subscriptions=(), on_message=None, keepalive=60):
    broker = setting("KeeperPrivilegeManager")
    client = mqtt.Client(client_id="%s_%d" % (name, os.getpid()), clean_session=clean)
    client.tls_set(ca_certs=os.environ["KEEPER_CA_FILE"])
    client.on_message = on_message
    ready = []
    def connected(c, *a):
        if subscriptions: c.subscribe(list(subscriptions))
        ready.append(True)
    client.on_connect = connected
    client.connect(broker["broker.host"], int(broker["broker.port"]), keepalive=keepalive)
    return client, ready
here = os.path.dirname(os.path.abspath(sys.argv[0]))
`

// receiver needs 5 ms for each command, and dies of some.
const receiver = busClient + `
heard = open(os.path.join(here, "heard"), "a")
def command(client, data, message):
    time.sleep(0.005)
    heard.write(message.payload.decode() + "\n")
    heard.flush()
client, ready = connect("Receiver", False, [("Receiver", 2), ("Receiver/Commands/+", 1)], command)
client.loop_forever()
`

// sender says 400 commands and goes on by itself.
const sender = busClient + `
client, ready = connect("Sender", True, keepalive=3600)
client.loop_start()
while not ready: time.sleep(0.01)
sent = [client.publish("Receiver" if i % 2 else "Receiver/Commands/go", str(i), qos=1 + i % 2) for i in range(400)]
for s in sent: s.wait_for_publish()
open(os.path.join(here, "sent"), "w").write("all")
while True: time.sleep(60)
`

const busPlugin = `{"id": "NAME", "pluginType": "Executable", "executablePath": "bin/NAME/NAME", "supportedPlatforms": ["Linux"],
 "Subscription": {"Topic": "NAME", "Qos": 2, "CleanSession": CLEAN},
 "metadata": {"mqttRole": ["ROLE"], "mqttTopics": {"publish": PUBLISH, "subscribe": SUBSCRIBE}},
 "autoStart": true, "requiresMonitoring": true, "autoRestart": true, "startupPriority": PRIORITY}`

// TestCommandsOutliveTheirPlugin: a plugin in Python whose file says CleanSession
// false is killed again and again while it is sent commands at QoS 1 and 2. Each
// reaches one of its processes.
func TestCommandsOutliveTheirPlugin(t *testing.T) {
	write := func(a *agent.Agent, name, program string, values ...string) {
		install(t, a, "Plugins/bin/"+name+"/"+name, program)
		if err := a.Write("Plugins/"+name+".json", strings.NewReplacer(append(values, "NAME", name)...).Replace(busPlugin)); err != nil {
			t.Fatal(err)
		}
	}
	a := newAgent(t, allowAll, func(a *agent.Agent) {
		write(a, "Receiver", receiver, "CLEAN", "false", "ROLE", "subscriber", "PUBLISH", "[]", "SUBSCRIBE", `["Receiver/Commands/+"]`, "PRIORITY", "50")
		write(a, "Sender", sender, "CLEAN", "true", "ROLE", "publisher", "PUBLISH", `["Receiver", "Receiver/Commands/go"]`, "SUBSCRIBE", "[]", "PRIORITY", "60")
	})
	heard := filepath.Join(a.Root, "Plugins/bin/Receiver/heard")
	lines := func() []string {
		data, err := os.ReadFile(heard)
		if err != nil {
			return nil
		}
		return strings.Fields(string(data))
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	until := func(what string, done func() bool) {
		t.Helper()
		for !done() {
			if ctx.Err() != nil {
				t.Fatalf("never happened: %s; %d heard\n%s", what, len(lines()), a.Log())
			}
			time.Sleep(10 * time.Millisecond)
		}
	}
	for kill := range 3 {
		until("it hears something", func() bool { return len(lines()) >= 20*(kill+1) })
		p, err := a.Plugin(ctx, "Receiver")
		if err != nil {
			t.Fatal(err)
		}
		if p.ProcessID == 0 {
			t.Fatalf("%+v", p)
		}
		if err := syscall.Kill(p.ProcessID, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		until("another process of it", func() bool {
			next, err := a.Plugin(ctx, "Receiver")
			return err == nil && next.ProcessID != 0 && next.ProcessID != p.ProcessID
		})
	}
	until("everything is heard", func() bool {
		all := map[string]bool{}
		for _, line := range lines() {
			all[line] = true
		}
		return len(all) == 400
	})
	// A process that dies may have done what it had not yet acknowledged.
	if got := len(lines()); got > 403 {
		t.Errorf("%d commands were done, of 400", got)
	}
	until("the sender has each acknowledged", func() bool {
		_, err := os.Stat(filepath.Join(a.Root, "Plugins/bin/Sender/sent"))
		return err == nil
	})
	if strings.Contains(a.Log(), "are dropped") {
		t.Errorf("%s", a.Log())
	}
}
