package broker

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	paho5 "github.com/eclipse/paho.golang/paho"
	paho3 "github.com/eclipse/paho.mqtt.golang"

	"kpm/core"
	"kpm/core/wire"
)

// Clients that are not ours, on both transports: paho.mqtt.golang (3.1.1),
// paho.golang (5), mosquitto_pub and mosquitto_sub (both), and Debian's Python
// client (both).

const patience = 20 * time.Second

// client3 connects with paho.mqtt.golang to a URL.
func client3(t testing.TB, url, ca string, who member) paho3.Client {
	t.Helper()
	options := paho3.NewClientOptions().AddBroker(url).SetClientID(who.id()).SetAutoReconnect(false).
		SetOrderMatters(false).SetConnectTimeout(patience).SetProtocolVersion(4)
	if ca != "" {
		options.SetTLSConfig(trusting(t, ca))
	}
	c := paho3.NewClient(options)
	if token := c.Connect(); !token.WaitTimeout(patience) || token.Error() != nil {
		t.Fatalf("connect: %v", token.Error())
	}
	t.Cleanup(func() { c.Disconnect(0) })
	return c
}

func trusting(t testing.TB, ca string) *tls.Config {
	t.Helper()
	data, err := os.ReadFile(ca)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(data)
	return &tls.Config{RootCAs: pool, ServerName: "localhost"}
}

// client5 connects with paho.golang over conn; heard gets what it receives.
func client5(t testing.TB, conn net.Conn, who member, heard func(*paho5.Publish)) *paho5.Client {
	t.Helper()
	c := paho5.NewClient(paho5.ClientConfig{
		Conn: conn,
		OnPublishReceived: []func(paho5.PublishReceived) (bool, error){func(p paho5.PublishReceived) (bool, error) {
			if heard != nil {
				heard(p.Packet)
			}
			return true, nil
		}},
	})
	ack, err := c.Connect(t.Context(), &paho5.Connect{ClientID: who.id(), KeepAlive: 30, CleanStart: true})
	if err != nil {
		t.Fatalf("connect: %v", err)
	}
	if ack.Properties.RetainAvailable || ack.Properties.SharedSubAvailable || ack.Properties.MaximumPacketSize == nil ||
		*ack.Properties.MaximumPacketSize != maxPacket {
		t.Errorf("the CONNACK does not tell the limits: %+v", ack.Properties)
	}
	t.Cleanup(func() {
		c.Disconnect(&paho5.Disconnect{})
		receive(t, "the end of the client", c.Done())
	})
	return c
}

// listenTo returns what the service hears on filter, as "principal topic text".
func (b *bus) listenTo(filter string) <-chan string {
	b.t.Helper()
	heard := make(chan string, 4096)
	err := b.Subscribe(filter, func(from core.Principal, topic string, m wire.RequestMessage) {
		var entry wire.LogEntry
		if err := m.Read(wire.TypeLog, &entry); err != nil {
			b.t.Error(err)
		}
		heard <- from.String() + " " + topic + " " + entry.Message
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return heard
}

func line(t testing.TB, who member, text string) []byte {
	return message(t, wire.TypeLog, who.Principal, wire.LogEntry{Level: "Information", Message: text})
}

// expectHeard checks that the next thing heard is want: nothing that was refused
// came before it.
func expectHeard(t *testing.T, heard <-chan string, want string) {
	t.Helper()
	if got := receive(t, want, heard); got != want {
		t.Errorf("heard %q, want %q", got, want)
	}
}

func TestRefusalsToPaho3(t *testing.T) {
	var ca string
	b := newBus(t, certificate(t, &ca))
	heard := b.listenTo("#")
	for name, c := range map[string]paho3.Client{
		"local": client3(t, "unix://"+b.local(bridge), "", bridge),
		"tls":   client3(t, "ssl://"+b.overTLS(job), ca, job),
	} {
		who := map[string]member{"local": bridge, "tls": job}[name]
		t.Run(name, func(t *testing.T) {
			for _, topic := range []string{"Nosy/private", "KeeperPolicy", "EventMessages", "$SYS/x", "Replies/KeeperPrivilegeManager/X"} {
				for qos := range byte(3) {
					if token := c.Publish(topic, qos, qos == 1, line(t, who, "forged")); !token.WaitTimeout(patience) || token.Error() != nil {
						t.Fatalf("%s at QoS %d is not acknowledged: %v", topic, qos, token.Error())
					}
					text := fmt.Sprint(topic, qos)
					if token := c.Publish("KeeperLogger", qos, false, line(t, who, text)); !token.WaitTimeout(patience) || token.Error() != nil {
						t.Fatalf("then a permitted one at QoS %d: %v", qos, token.Error())
					}
					expectHeard(t, heard, who.String()+" KeeperLogger "+text)
				}
			}
			token := c.SubscribeMultiple(map[string]byte{"KeeperPolicy": 2, "#": 1, "$share/g/KeeperLogger": 1, "$SYS/#": 0, "JobService": 1}, nil)
			if !token.WaitTimeout(patience) || token.Error() != nil {
				t.Fatalf("no SUBACK: %v", token.Error())
			}
			want := map[string]byte{"KeeperPolicy": 0x80, "#": 0x80, "$share/g/KeeperLogger": 0x80, "$SYS/#": 0x80, "JobService": 1}
			for filter, code := range token.(*paho3.SubscribeToken).Result() {
				if code != want[filter] {
					t.Errorf("%s: SUBACK %#x, want %#x", filter, code, want[filter])
				}
			}
			if !c.IsConnected() {
				t.Error("the connection is gone")
			}
		})
	}
	if s := b.Stats(); s.RefusedPublishes != 2*5*3 || s.RefusedSubscriptions != 2*4 {
		t.Errorf("%+v", s)
	}
}

func TestRefusalsToPaho5(t *testing.T) {
	b := newBus(t)
	heard := b.listenTo("#")
	c := client5(t, b.dial(bridge), bridge, nil)
	for _, topic := range []string{"Nosy/private", "KeeperPolicy", "EventMessages", "$SYS/x"} {
		for qos := range byte(3) {
			res, err := c.Publish(t.Context(), &paho5.Publish{Topic: topic, QoS: qos, Payload: line(t, bridge, "forged")})
			if qos > 0 && (res == nil || res.ReasonCode != 0x87) {
				t.Errorf("%s at QoS %d: %+v, %v; want 0x87", topic, qos, res, err)
			}
			text := fmt.Sprint(topic, qos)
			if res, err := c.Publish(t.Context(), &paho5.Publish{Topic: "KeeperLogger", QoS: qos, Payload: line(t, bridge, text)}); err != nil || res.ReasonCode >= 0x80 {
				t.Fatalf("then a permitted one at QoS %d: %+v, %v", qos, res, err)
			}
			expectHeard(t, heard, "MyBridge KeeperLogger "+text)
		}
	}
	ack, _ := c.Subscribe(t.Context(), &paho5.Subscribe{Subscriptions: []paho5.SubscribeOptions{
		{Topic: "KeeperPolicy", QoS: 1}, {Topic: "MyBridge", QoS: 2}, {Topic: "Replies/#", QoS: 1}, {Topic: "Replies/MyBridge/#", QoS: 1},
	}})
	if ack == nil || !bytes.Equal(ack.Reasons, []byte{0x87, 2, 0x87, 1}) {
		t.Errorf("SUBACK %+v", ack)
	}
}

func TestRefusalsToMosquitto(t *testing.T) {
	b := newBus(t)
	heard := b.listenTo("#")
	for _, version := range []string{"mqttv311", "mqttv5"} {
		for _, qos := range []string{"0", "1", "2"} {
			path := b.local(bridge)
			pub := func(topic, text string) error {
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				defer cancel()
				return exec.CommandContext(ctx, "mosquitto_pub", "--unix", path, "-V", version, "-i", bridge.id(),
					"-q", qos, "-t", topic, "-m", string(line(t, bridge, text))).Run()
			}
			var exit *exec.ExitError
			if err := pub("Nosy/private", "forged"); err != nil && (version != "mqttv5" || !errors.As(err, &exit) || exit.ExitCode() < 0) {
				t.Errorf("%s QoS %s: a refused publish: %v", version, qos, err)
			}
			if err := pub("KeeperLogger", version+qos); err != nil {
				t.Errorf("%s QoS %s: %v", version, qos, err)
			}
			expectHeard(t, heard, "MyBridge KeeperLogger "+version+qos)
		}
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		out, err := exec.CommandContext(ctx, "mosquitto_sub", "--unix", b.local(bridge), "-V", version, "-i", bridge.id(), "-t", "Nosy/#").CombinedOutput()
		cancel()
		if !strings.Contains(string(out), "subscription requests were denied") {
			t.Errorf("mosquitto_sub: %s %v", out, err)
		}
	}
	if s := b.Stats(); s.RefusedPublishes != 6 {
		t.Errorf("%+v", s)
	}
}

// A program in another language, as the plugin guide shows it: TLS on the port,
// certificate unverified or verified, QoS 0 to 2, refusals in between.
const pythonPlugin = `
import queue, ssl, sys
import paho.mqtt.client as mqtt
port, ca, version, client_id, line = int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), sys.argv[4], sys.stdin.read()
events = queue.Queue()
c = mqtt.Client(client_id=client_id, protocol=mqtt.MQTTv5 if version == 5 else mqtt.MQTTv311)
if ca:
    c.tls_set(ca_certs=ca)
else:
    c.tls_set(cert_reqs=ssl.CERT_NONE)
    c.tls_insecure_set(True)
c.on_connect = lambda *a: events.put(("connect", int(a[3].value if version == 5 else a[3])))
c.on_publish = lambda cl, u, mid: events.put(("published", mid))
c.on_subscribe = lambda cl, u, mid, codes, *a: events.put(("subscribed", [int(x.value) if version == 5 else x for x in codes]))
c.on_message = lambda cl, u, m: events.put(("message", m.topic, m.payload.decode()))
c.on_disconnect = lambda *a: events.put(("disconnect",))
c.connect("localhost" if ca else "127.0.0.1", port, keepalive=60)
c.loop_start()
def expect(what):
    got = events.get(timeout=20)
    assert got[0] == what, (what, got)
    return got
assert expect("connect")[1] == 0
c.subscribe([("MyBridge/Commands/+", 2), ("Nosy/#", 2)])
assert expect("subscribed")[1] == [2, 0x87 if version == 5 else 0x80]
for qos in 0, 1, 2:
    for topic in "Nosy/private", "KeeperLogger":
        info = c.publish(topic, line, qos=qos)
        expect("published")
print("ready", flush=True)
got = expect("message")
assert got[1:] == ("MyBridge/Commands/go", "héllo"), got
c.publish("MyBridge/Responses/go", line, qos=2)
expect("published")
c.disconnect()
expect("disconnect")
c.loop_stop()
print("done")
`

func TestAPluginInPython(t *testing.T) {
	var ca string
	b := newBus(t, certificate(t, &ca))
	heard := b.listenTo("#")
	address := b.overTLS(bridge)
	_, port, _ := net.SplitHostPort(address)
	for _, version := range []string{"4", "5"} {
		for _, file := range []string{"", ca} {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			cmd := exec.CommandContext(ctx, "/usr/bin/python3", "-c", pythonPlugin, port, file, version, bridge.id())
			cmd.Stdin = bytes.NewReader(line(t, bridge, "hi"))
			var complaints bytes.Buffer
			cmd.Stderr = &complaints
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			said := make([]byte, len("ready\n"))
			if _, err := out.Read(said); err != nil {
				t.Errorf("%v: %s", err, complaints.String())
			}
			for range 3 {
				expectHeard(t, heard, "MyBridge KeeperLogger hi")
			}
			if err := b.PublishAs(ctx, service.Principal, "MyBridge/Commands/go", []byte("héllo")); err != nil {
				t.Error(err)
			}
			expectHeard(t, heard, "MyBridge MyBridge/Responses/go hi")
			if err := cmd.Wait(); err != nil {
				t.Errorf("version %s: %v\n%s", version, err, complaints.String())
			}
			cancel()
		}
	}
}
