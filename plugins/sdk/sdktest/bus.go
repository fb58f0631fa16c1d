// Package sdktest gives tests of plugins and tasks a bus to live on: a broker
// and a settings API on local sockets, without the agent's rules.
//
// It is no model of the agent's broker: topics are open to everyone unless
// Refuse says otherwise. Nothing but tests imports it.
package sdktest

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"kpm/core/wire"
	"kpm/plugins/sdk"
)

// Patience is how long a test waits for what must come.
const Patience = time.Minute

// Bus is a broker and a settings API that end with the test.
type Bus struct {
	t    testing.TB
	dir  string
	jobs func(id string, context map[string]any) (passed, known bool)
	api  *http.Server
	open sync.WaitGroup

	mu       sync.Mutex
	server   *mqtt.Server
	listener net.Listener
	served   *sync.WaitGroup // by server
	conns    []net.Conn      // of server
	refused  string
	settings map[string]map[string]string
	nextID   int
}

// New starts a bus and stops it when the test ends.
func New(t testing.TB) *Bus {
	t.Helper()
	dir, err := os.MkdirTemp("", "bus")
	if err != nil {
		t.Fatal(err)
	}
	b := &Bus{t: t, dir: dir, settings: map[string]map[string]string{}}
	b.api = &http.Server{Handler: http.HandlerFunc(b.serveSettings)}
	listener, err := net.Listen("unix", b.path("api.sock"))
	if err != nil {
		t.Fatal(err)
	}
	b.open.Go(func() { b.api.Serve(listener) })
	t.Cleanup(func() {
		b.Stop()
		b.api.Close()
		b.open.Wait()
		os.RemoveAll(dir)
	})
	b.Restart()
	return b
}

func (b *Bus) path(name string) string { return filepath.Join(b.dir, name) }

// Environment sets the variables that a started plugin finds, so that
// sdk.Local leads here.
func (b *Bus) Environment() {
	for name, value := range b.Variables() {
		if err := os.Setenv(name, value); err != nil {
			b.t.Fatal(err)
		}
		b.t.Cleanup(func() { os.Unsetenv(name) })
	}
}

// Variables are the environment of a process that this bus's agent starts.
func (b *Bus) Variables() map[string]string {
	return map[string]string{"KEEPER_MQTT_SOCKET": b.path("mqtt.sock"), "KEEPER_API_SOCKET": b.path("api.sock")}
}

// Network leads to this bus.
func (b *Bus) Network() sdk.Network { return network{b} }

type network struct{ b *Bus }

func (n network) DialBroker(ctx context.Context) (net.Conn, error) {
	return new(net.Dialer).DialContext(ctx, "unix", n.b.path("mqtt.sock"))
}

func (n network) DialAPI(ctx context.Context) (net.Conn, error) {
	return new(net.Dialer).DialContext(ctx, "unix", n.b.path("api.sock"))
}

// Restart starts the broker, again if Stop was called.
func (b *Bus) Restart() {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.server = mqtt.New(&mqtt.Options{InlineClient: true, Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
	if err := b.server.AddHook(&rules{bus: b}, nil); err != nil {
		b.t.Fatal(err)
	}
	listener, err := net.Listen("unix", b.path("mqtt.sock"))
	if err != nil {
		b.t.Fatal(err)
	}
	b.listener, b.served, b.conns = listener, new(sync.WaitGroup), nil
	if err := b.server.Serve(); err != nil {
		b.t.Fatal(err)
	}
	server, served := b.server, b.served
	served.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			b.mu.Lock()
			if b.conns = append(b.conns, conn); b.server != server { // Stop has been through them
				conn.Close()
			}
			b.mu.Unlock()
			served.Go(func() { server.EstablishConnection("local", conn) })
		}
	})
}

// Stop ends the broker and every connection.
func (b *Bus) Stop() {
	b.mu.Lock()
	server, listener, served := b.server, b.listener, b.served
	b.server = nil
	b.mu.Unlock()
	if server == nil {
		return
	}
	listener.Close() // first: nobody comes back to a server that is closing
	// A server that closes while a client leaves can wait for itself for ever: it reads
	// the list of clients, and in between wants to read it again. So they leave before.
	b.mu.Lock()
	for _, conn := range b.conns {
		conn.Close()
	}
	b.mu.Unlock()
	served.Wait()
	server.Close()
}

func (b *Bus) running() *mqtt.Server {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.server
}

// Cut ends every connection; the broker stays.
func (b *Bus) Cut() {
	b.t.Helper()
	server := b.running()
	for id, c := range server.Clients.GetAll() {
		if c.Net.Inline {
			continue
		}
		c.Stop(io.EOF)
		b.until("the broker has forgotten "+id, func() bool {
			now, known := server.Clients.Get(id)
			return !known || now != c
		})
	}
}

func (b *Bus) until(what string, holds func() bool) {
	b.t.Helper()
	for end := time.Now().Add(Patience); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			b.t.Fatalf("waited in vain until %s", what)
		}
	}
}

// Refuse makes the broker refuse subscriptions to filter.
func (b *Bus) Refuse(filter string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.refused = filter
}

// Set gives a plugin's settings.
func (b *Bus) Set(plugin string, values map[string]string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.settings[plugin] = values
}

// Publish sends bytes to a topic.
func (b *Bus) Publish(topic string, payload []byte) {
	b.t.Helper()
	if err := b.running().Publish(topic, payload, false, 0); err != nil {
		b.t.Fatal(err)
	}
}

// Send publishes an envelope and returns it.
func (b *Bus) Send(topic string, m wire.RequestMessage) {
	b.t.Helper()
	data, err := m.Encode()
	if err != nil {
		b.t.Fatal(err)
	}
	b.Publish(topic, data)
}

// Listen returns what is published on filter from now on.
func (b *Bus) Listen(filter string) <-chan sdk.Message {
	b.t.Helper()
	b.mu.Lock()
	b.nextID++
	id := b.nextID
	b.mu.Unlock()
	messages := make(chan sdk.Message, 1024)
	err := b.running().Subscribe(filter, id, func(_ *mqtt.Client, _ packets.Subscription, p packets.Packet) {
		messages <- sdk.Message{Topic: p.TopicName, Payload: append([]byte{}, p.Payload...)}
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return messages
}

// Next returns the next message, or fails the test.
func (b *Bus) Next(messages <-chan sdk.Message) sdk.Message {
	b.t.Helper()
	select {
	case m := <-messages:
		return m
	case <-time.After(Patience):
		b.t.Fatal("no message came")
		return sdk.Message{}
	}
}

// Subscribed waits until a client, not counting Listen, has subscribed to
// filter.
func (b *Bus) Subscribed(filter string) {
	b.t.Helper()
	b.until("someone has subscribed to "+filter, func() bool {
		server := b.running()
		if server == nil {
			return false
		}
		for _, c := range server.Clients.GetAll() {
			if _, ok := c.State.Subscriptions.Get(filter); ok && !c.Net.Inline {
				return true
			}
		}
		return false
	})
}

// Clients returns the client ids that are connected.
func (b *Bus) Clients() []string {
	var ids []string
	for id, c := range b.running().Clients.GetAll() {
		if !c.Net.Inline {
			ids = append(ids, id)
		}
	}
	return ids
}

func (b *Bus) serveSettings(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodPost {
		b.serveEvaluate(w, r)
		return
	}
	plugin, ok := strings.CutPrefix(r.URL.Path, "/api/PluginSettings/")
	b.mu.Lock()
	values, known := b.settings[plugin]
	b.mu.Unlock()
	if !ok || !known {
		w.WriteHeader(http.StatusNotFound)
		io.WriteString(w, `{"title": "Unknown plugin", "detail": "There is no plugin of that name.", "code": "unknown-plugin"}`)
		return
	}
	json.NewEncoder(w).Encode(values)
}

// rules lets everyone in and refuses what Refuse named.
type rules struct {
	mqtt.HookBase
	bus *Bus
}

func (r *rules) Provides(b byte) bool {
	return b == mqtt.OnConnectAuthenticate || b == mqtt.OnACLCheck
}

// OnConnectAuthenticate refuses a client id that is still connected, as the
// agent's broker does.
func (r *rules) OnConnectAuthenticate(c *mqtt.Client, _ packets.Packet) bool {
	server := r.bus.running()
	if server == nil {
		return false
	}
	_, alive := server.Clients.Get(c.ID)
	return !alive
}

func (r *rules) OnACLCheck(_ *mqtt.Client, topic string, write bool) bool {
	r.bus.mu.Lock()
	defer r.bus.mu.Unlock()
	return write || topic != r.bus.refused
}

// Linked makes the sockets reachable in a directory below their own and
// returns the variables that name them there.
func (b *Bus) Linked(below string) map[string]string {
	b.t.Helper()
	variables := b.Variables()
	dir := b.path(below)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		b.t.Fatal(err)
	}
	for name, path := range variables {
		variables[name] = filepath.Join(dir, filepath.Base(path))
		if err := os.Symlink(path, variables[name]); err != nil {
			b.t.Fatal(err)
		}
	}
	return variables
}
