//go:build linux

package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"kpm/vmtests/agent"
)

// chatty is a plugin that logs, as any may: SAY, and then a message of SIZE
// bytes COUNT times.
const chatty = `#!/usr/bin/python3
import os, socket, time
def length(n):
    out = b""
    while True:
        n, low = n >> 7, n & 127
        out += bytes([low | (128 if n else 0)])
        if not n:
            return out
def packet(kind, body):
    return bytes([kind]) + length(len(body)) + body
def text(s):
    return len(s).to_bytes(2, "big") + s.encode()
def log(message):
    bus.sendall(packet(0x30, text("KeeperLogger") + message))
bus = socket.socket(socket.AF_UNIX)
os.chdir(os.path.dirname(os.environ["KEEPER_MQTT_SOCKET"]))  # its path may be too long for a socket
bus.connect(os.path.basename(os.environ["KEEPER_MQTT_SOCKET"]))
bus.sendall(packet(0x10, text("MQTT") + bytes([4, 2]) + (60).to_bytes(2, "big") + text("Chatty_%d" % os.getpid())))
bus.recv(4)
bus.sendall(packet(0x82, (1).to_bytes(2, "big") + text("Chatty") + b"\x00"))
bus.recv(5)
while not os.path.exists(os.environ["KEEPER_AGENT_ROOT"] + "/go"):
    time.sleep(0.01)
for message in SAY:
    log(message.encode())
for i in range(COUNT):
    log(('{"MessageType":"Log","Source":"Chatty","Payload":{"Level":"Information","Message":"%d %s"}}' % (i, "x" * SIZE)).encode())
log(b"the last one")
open(os.environ["KEEPER_AGENT_ROOT"] + "/Chatty.said", "w").write("done")
time.sleep(1000)
`

const chattyManifest = `{"id":"Chatty","pluginType":"Executable","executablePath":"bin/Chatty/Chatty","supportedPlatforms":["Linux"],
 "Subscription":{"Topic":"Chatty"},"metadata":{"mqttTopics":{"publish":["KeeperLogger"],"subscribe":[]}},"autoStart":true}`

// chattyAgent is an agent whose KeeperLogger has settings, with a plugin that
// begins when it is told to.
func chattyAgent(t *testing.T, settings map[string]any, count, size int, say ...string) (a *agent.Agent, begin func()) {
	t.Helper()
	a = newAgent(t, allowAll, func(a *agent.Agent) {
		quoted, err := json.Marshal(say)
		if err != nil {
			t.Fatal(err)
		}
		if say == nil {
			quoted = []byte("[]")
		}
		install(t, a, "Plugins/bin/Chatty/Chatty", strings.NewReplacer("SAY", string(quoted), "COUNT", strconv.Itoa(count), "SIZE", strconv.Itoa(size)).Replace(chatty))
		if err := a.Write("Plugins/Chatty.json", chattyManifest); err != nil {
			t.Fatal(err)
		}
		configure(t, a, "KeeperLogger", settings)
	})
	return a, func() {
		t.Helper()
		if err := a.Write("go", ""); err != nil {
			t.Fatal(err)
		}
	}
}

// configure adds settings to a plugin's file.
func configure(t *testing.T, a *agent.Agent, id string, settings map[string]any) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(a.Root, "Plugins", id+".json"))
	if err != nil {
		t.Fatal(err)
	}
	var file map[string]any
	if err := json.Unmarshal(data, &file); err != nil {
		t.Fatal(err)
	}
	for key, value := range settings {
		file["metadata"].(map[string]any)[key] = value
	}
	if data, err = json.Marshal(file); err != nil {
		t.Fatal(err)
	}
	if err := a.Write("Plugins/"+id+".json", string(data)); err != nil {
		t.Fatal(err)
	}
}

func logFolder(a *agent.Agent) string { return filepath.Join(a.Root, "Plugins/bin/KeeperLogger/Log") }

// logged waits until the log holds all of lines, and returns it.
func logged(t *testing.T, a *agent.Agent, lines ...string) string {
	t.Helper()
	var data []byte
	for _, line := range lines {
		eventually(t, "the log has "+line, func() bool {
			data, _ = os.ReadFile(filepath.Join(logFolder(a), "KeeperLogger.log"))
			return strings.Contains(string(data), line)
		})
	}
	return string(data)
}

// TestTheLogsFolder has a size.
func TestTheLogsFolder(t *testing.T) {
	a, begin := chattyAgent(t, map[string]any{"log.rotation.size_mb": 1, "log.retention.total_mb": 3}, 3000, 6000)
	begin()
	logged(t, a, "the last one")
	eventually(t, "several files are no larger together than they may be", func() bool {
		entries, err := os.ReadDir(logFolder(a))
		if err != nil {
			t.Fatal(err)
		}
		var sum int64
		for _, entry := range entries {
			info, err := entry.Info()
			if err != nil {
				return false // it was removed meanwhile
			}
			sum += info.Size()
		}
		return sum <= 5<<20 && len(entries) >= 2
	})
}

// TestTheLoggersMemory: a flood of large messages does not become its size.
func TestTheLoggersMemory(t *testing.T) {
	a, begin := chattyAgent(t, nil, 200, 900_000)
	begin()
	eventually(t, "all has been said", func() bool {
		_, err := os.Stat(filepath.Join(a.Root, "Chatty.said"))
		return err == nil
	})
	logged(t, a, "the last one")
	p, err := a.Plugin(t.Context(), "KeeperLogger")
	if err != nil {
		t.Fatal(err)
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.ProcessID))
	if err != nil {
		t.Fatal(err)
	}
	_, peak, _ := strings.Cut(string(status), "VmHWM:")
	var kilobytes int
	if _, err := fmt.Sscan(peak, &kilobytes); err != nil || kilobytes > 100<<10 {
		t.Errorf("at most %d kB were resident (%v)", kilobytes, err)
	}
	t.Logf("at most %d kB were resident", kilobytes)
}

// TestWhoLogged: a line names the publisher that the broker knows, however it
// came and whatever it says.
func TestWhoLogged(t *testing.T) {
	a, begin := chattyAgent(t, map[string]any{"log.level": "Information", "log.level.Chatty/Loud": "Error"}, 0, 0,
		`{"Source": "Chatty", "Level": "Warning", "Message": "flat"}`, `"bare"`, "text",
		`{"MessageType":"Log","Source":"KeeperPolicy","Payload":{"Level":"Error","Message":"forged"}}`,
		`{"Level": "Debug", "Message": "too low"}`, `{"Source": "Loud", "Level": "Warning", "Message": "too low"}`)
	begin()
	text := logged(t, a, "[WRN] Chatty: flat\n", "[INF] Chatty: bare\n", "[INF] Chatty: text\n", "[ERR] Chatty/KeeperPolicy: forged\n", "[INF] Chatty: the last one\n")
	if strings.Contains(text, "too low") {
		t.Errorf("levels do not hold:\n%s", text)
	}
}

// TestLogsElsewhere: lines of JSON in the file, and records posted to a receiver
// that did not take them at first.
func TestLogsElsewhere(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var received []string
	refused := false
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		body, err := io.ReadAll(r.Body)
		if err != nil || !refused || r.Header.Get("Authorization") != "Bearer x" {
			refused = true
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		for line := range strings.Lines(string(body)) {
			received = append(received, line)
		}
	})}
	go server.Serve(listener)
	t.Cleanup(func() { server.Close() })

	a, begin := chattyAgent(t, map[string]any{"log.format": "json", "log.http.url": "http://" + listener.Addr().String() + "/in",
		"log.http.authorization": "Bearer x", "log.http.batch": 10}, 25, 10)
	begin()
	logged(t, a, `"level":"Information","source":"Chatty","message":"the last one"`)
	has := func(text string) bool {
		mu.Lock()
		defer mu.Unlock()
		return strings.Contains(strings.Join(received, ""), text)
	}
	eventually(t, "the receiver has the last one", func() bool { return has(`"message":"the last one"`) })
	for i := range 25 {
		if !has(fmt.Sprintf(`"message":"%d xxx`, i)) {
			t.Errorf("the receiver lacks %d", i)
		}
	}
}
