package broker

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"kpm/core"
	"kpm/trust"
)

// renewing is a certificate as the service has it, on a clock of its own.
type renewing struct {
	*trust.ServerCertificate
	file  string // what clients trust
	ahead atomic.Int64
}

// pass lets time go by for the service alone.
func (r *renewing) pass(d time.Duration) { r.ahead.Add(int64(d)) }

func newRenewing(t *testing.T) *renewing {
	t.Helper()
	r := &renewing{file: filepath.Join(t.TempDir(), "ca.pem")}
	r.ServerCertificate = trust.NewServerCertificate(trust.ServerConfig{
		Source:  trust.Loopback(),
		Now:     func() time.Time { return time.Now().Add(time.Duration(r.ahead.Load())) },
		Publish: func(anchors []byte) error { return os.WriteFile(r.file, anchors, 0o644) },
		Log:     slog.New(slog.DiscardHandler),
	})
	if err := r.Renew(); err != nil {
		t.Fatal(err)
	}
	return r
}

// subscriber is a program that says "ready" when it listens, then each message
// that it gets, and connects anew on each line that it is given.
type subscriber struct {
	said  *bufio.Scanner
	stdin io.Writer
	err   bytes.Buffer
}

func (s *subscriber) expect(t *testing.T, want string) {
	t.Helper()
	if !s.said.Scan() || s.said.Text() != want {
		t.Fatalf("heard %q, want %q (%v)\n%s", s.said.Text(), want, s.said.Err(), s.err.String())
	}
}

func start(t *testing.T, name string, args ...string) *subscriber {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*patience)
	s := &subscriber{}
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stderr = &s.err
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if s.stdin, err = cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		_ = cmd.Wait()
	})
	s.said = bufio.NewScanner(out)
	return s
}

// A plugin as people write them: the file is read once, at the beginning.
const reconnecting = `
import sys
import paho.mqtt.client as mqtt
port, ca, client_id, topic = int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4]
c = mqtt.Client(client_id=client_id)
c.tls_set(ca_certs=ca)
c.on_connect = lambda cl, *a: cl.subscribe(topic, 2)
c.on_subscribe = lambda *a: print("ready", flush=True)
c.on_message = lambda cl, u, m: print(m.payload.decode(), flush=True)
c.connect("localhost", port, keepalive=60)
c.loop_start()
for line in sys.stdin:
    c.disconnect()
    c.loop_stop()
    c.reconnect()
    c.loop_start()
`

// TestConnectionsAcrossARenewal: whoever is connected notices nothing when the
// certificate is renewed, and whoever has read run/ca.pem before connects again
// without reading it.
func TestConnectionsAcrossARenewal(t *testing.T) {
	certificate := newRenewing(t)
	subscribed := make(chan string, 16)
	b := newBus(t, func(cfg *Config) {
		cfg.TLS = certificate.TLS()
		cfg.OnSubscribed = func(_ core.Principal, filter string) { subscribed <- filter }
	})
	port := func(who member) string {
		_, port, _ := net.SplitHostPort(b.overTLS(who))
		return port
	}
	bridgePort, loggerPort := port(bridge), port(logger)
	atFirst := filepath.Join(t.TempDir(), "ca.pem") // as somebody copied it at the beginning
	anchors, err := os.ReadFile(certificate.file)
	if err == nil {
		err = os.WriteFile(atFirst, anchors, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	say := func(topic, text string) {
		t.Helper()
		if err := b.PublishAs(t.Context(), service.Principal, topic, []byte(text)); err != nil {
			t.Error(err)
		}
	}
	python := start(t, "/usr/bin/python3", "-c", reconnecting, bridgePort, atFirst, bridge.id(), "MyBridge")
	python.expect(t, "ready")
	sub := start(t, "mosquitto_sub", "-h", "localhost", "-p", loggerPort, "--cafile", atFirst, "-i", logger.id(), "-t", "KeeperLogger")
	for filter := ""; filter != "KeeperLogger"; {
		filter = receive(t, "mosquitto_sub subscribes", subscribed)
	}
	say("MyBridge", "one")
	say("KeeperLogger", "one")
	python.expect(t, "one")
	sub.expect(t, "one")

	certificate.pass(31 * 24 * time.Hour)
	// A handshake finds out that it is time.
	conn := client3(t, "tls://localhost:"+port(policy), certificate.file, policy)
	defer conn.Disconnect(0)
	if now, err := os.ReadFile(certificate.file); err != nil || bytes.Equal(now, anchors) {
		t.Fatalf("nothing was renewed: %v", err)
	}
	say("MyBridge", "two")
	say("KeeperLogger", "two")
	python.expect(t, "two")
	sub.expect(t, "two")
	if _, err := io.WriteString(python.stdin, "again\n"); err != nil {
		t.Fatal(err)
	}
	python.expect(t, "ready")
	say("MyBridge", "three")
	python.expect(t, "three")

	// A period later what was read at first is of no use to whoever comes new.
	certificate.pass(61 * 24 * time.Hour)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	out, err := exec.CommandContext(ctx, "mosquitto_sub", "-h", "localhost", "-p", bridgePort, "--cafile", atFirst,
		"-i", bridge.id(), "-t", "MyBridge", "-C", "1").CombinedOutput()
	if err == nil || ctx.Err() != nil || !bytes.Contains(out, []byte("TLS error")) {
		t.Errorf("with a file of long ago: %v\n%s", err, out)
	}
	say("KeeperLogger", "four") // and who is connected, still is
	sub.expect(t, "four")
}
