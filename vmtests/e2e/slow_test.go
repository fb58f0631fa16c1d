//go:build linux

package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"kpm/vmtests/agent"
)

// slowPlugin subscribes to events, as any plugin may, and reads them slowly, but
// fast enough not to be taken for stalled.
const slowPlugin = `#!/usr/bin/python3
import os, socket, time
def packet(kind, body):
    return bytes([kind, len(body)]) + body
def text(s):
    return len(s).to_bytes(2, "big") + s.encode()
bus = socket.socket(socket.AF_UNIX)
os.chdir(os.path.dirname(os.environ["KEEPER_MQTT_SOCKET"]))  # its path may be too long for a socket
bus.connect(os.path.basename(os.environ["KEEPER_MQTT_SOCKET"]))
bus.sendall(packet(0x10, text("MQTT") + bytes([4, 2]) + (60).to_bytes(2, "big") + text("Slow_%d" % os.getpid())))
answers = bus.recv(4)
bus.sendall(packet(0x82, (1).to_bytes(2, "big") + text("Slow") + b"\x00" + text("EventMessages") + b"\x00"))
answers += bus.recv(6)
open(os.environ["KEEPER_AGENT_ROOT"] + "/Slow.said", "w").write(answers.hex())
while bus.recv(40000):
    time.sleep(0.1)
`

const slowManifest = `{"id":"Slow","pluginType":"Executable","executablePath":"bin/Slow/Slow","supportedPlatforms":["Linux"],
 "Subscription":{"Topic":"Slow"},"metadata":{"mqttTopics":{"publish":[],"subscribe":["EventMessages"]}},"autoStart":true}`

// TestASlowSubscriber: somebody's plugin that listens to events and is slow to
// read them is its own loss, and no elevation's.
func TestASlowSubscriber(t *testing.T) {
	a := newAgent(t, allowAll, func(a *agent.Agent) {
		for name, text := range map[string]string{"Plugins/Slow.json": slowManifest, "Plugins/bin/Slow/Slow": slowPlugin} {
			if err := a.Write(name, text); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Chmod(filepath.Join(a.Root, "Plugins/bin/Slow/Slow"), 0o755); err != nil {
			t.Fatal(err)
		}
	})
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(a.Log())
		}
	})
	eventually(t, "the plugin listens", func() bool {
		said, err := os.ReadFile(filepath.Join(a.Root, "Slow.said"))
		return err == nil && string(said) == "20020000900400010000" // connected, and subscribed to both
	})
	// An event holds the command line, and of a control character six times as
	// much: this is more than the bus keeps for one subscriber.
	long := strings.Repeat("\x01", 100<<10)
	var all sync.WaitGroup
	for user := range 6 {
		all.Go(func() {
			for range 8 {
				if out, err := a.Sudo(t.Context(), uint32(4300+user), "true", long).CombinedOutput(); err != nil {
					t.Errorf("%v: %s", err, out)
				}
			}
		})
	}
	all.Wait()
	// Whether an elevation fails of it depends on whose turn it is at that moment.
	if strings.Contains(a.Log(), "event cannot be raised") {
		t.Error("for the service's own events the subscriber's queue counted")
	}
}
