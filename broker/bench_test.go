package broker

import (
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	paho3 "github.com/eclipse/paho.mqtt.golang"

	"kpm/core"
	"kpm/core/wire"
)

// BenchmarkRoundTrip is the bus's share of one decision: the service asks, a
// process that does nothing else answers, the service hears it.
func BenchmarkRoundTrip(b *testing.B) {
	var ca string
	for _, transport := range []string{"local", "tls"} {
		b.Run(transport, func(b *testing.B) {
			bus := newBus(b, certificate(b, &ca))
			answers := make(chan struct{}, 1)
			if err := bus.Subscribe("Replies/KeeperPrivilegeManager/#", func(core.Principal, string, wire.RequestMessage) {
				answers <- struct{}{}
			}); err != nil {
				b.Fatal(err)
			}
			url := "unix://" + bus.local(policy)
			if transport == "tls" {
				url = "ssl://" + bus.overTLS(policy)
			}
			c := client3(b, url, ca, policy)
			token := c.Subscribe(wire.TopicPolicy, 1, func(c paho3.Client, m paho3.Message) {
				q, err := wire.Decode(m.Payload())
				if err != nil {
					b.Error(err)
					return
				}
				c.Publish(q.ReplyTopic, 1, false, message(b, wire.TypePolicyResponse, policy.Principal,
					wire.PolicyResponse{RequestID: evaluating, Decision: core.Allow}, answering(q.MessageID)))
			})
			if !token.WaitTimeout(patience) || token.Error() != nil {
				b.Fatal(token.Error())
			}
			b.ReportAllocs()
			for b.Loop() {
				bus.ask(b, evaluating)
				<-answers
			}
		})
	}
}

// BenchmarkEcho is one message from a client through the broker back to the same
// client, at QoS 1 with all acknowledgements, beside the broker that everyone
// knows.
func BenchmarkEcho(b *testing.B) {
	for _, peer := range []string{"local", "tls", "mosquitto-local", "mosquitto-tls"} {
		b.Run(peer, func(b *testing.B) {
			var c net.Conn
			var ca string
			switch peer {
			case "local", "tls":
				bus := newBus(b, certificate(b, &ca))
				if c = dialPath(b, bus.local(nosy)); peer == "tls" {
					c = dialTLS(b, bus.overTLS(nosy))
				}
			default:
				path, address := mosquitto(b)
				if c = dialPath(b, path); peer == "mosquitto-tls" {
					c = dialTLS(b, address)
				}
			}
			r := newRaw(b, c, 4)
			c.SetReadDeadline(time.Now().Add(time.Minute))
			if code := r.connect(connecting{id: nosy.id()}); code != 0 {
				b.Fatalf("CONNACK %#x", code)
			}
			r.subscribe("echo", 1)
			payload := make([]byte, 256)
			b.ReportAllocs()
			for b.Loop() {
				r.publish("echo", 1, 1, payload)
				for acknowledged, delivered := false, false; !acknowledged || !delivered; {
					first, body, err := r.next()
					if err != nil {
						b.Fatal(err)
					}
					if first == 0x40 {
						acknowledged = true
						continue
					}
					delivered = true
					r.send(framed(0x40, body[6:8]...))
				}
			}
		})
	}
}

// BenchmarkFlood is one publisher at QoS 1, with at most 100 messages that are
// not acknowledged, and one subscriber that reads.
func BenchmarkFlood(b *testing.B) {
	bus := newBus(b)
	sub, pub := bus.admitted(logger, 4), bus.admitted(bridge, 4)
	sub.SetReadDeadline(time.Now().Add(time.Minute))
	pub.SetReadDeadline(time.Now().Add(time.Minute))
	sub.subscribe("KeeperLogger", 1)
	window := make(chan struct{}, 100)
	go func() { // ends with the connection
		for {
			if _, _, err := pub.next(); err != nil {
				return
			}
			<-window
		}
	}()
	done := make(chan error)
	go func() {
		for range b.N {
			_, body, err := sub.next()
			if err != nil {
				done <- err
				return
			}
			sub.Write(framed(0x40, body[14:16]...))
		}
		done <- nil
	}()
	payload := make([]byte, 256)
	for i := range b.N {
		window <- struct{}{}
		pub.publish("KeeperLogger", 1, uint16(i%65535+1), payload)
	}
	if err := <-done; err != nil {
		b.Fatalf("%v: %+v", err, bus.Stats())
	}
}

// BenchmarkCheck is the authority check of one answer, its permit included.
func BenchmarkCheck(b *testing.B) {
	bus := newBus(b)
	bus.set(evaluating, "Evaluating")
	topic := wire.ReplyTopic(service.Principal, string(evaluating))
	data := message(b, wire.TypePolicyResponse, policy.Principal, wire.PolicyResponse{RequestID: evaluating, Decision: core.Allow}, answering("Q"))
	s := policy.speaker()
	b.ReportAllocs()
	for b.Loop() {
		bus.serviceReplies.open(permit{topic, "Q"})
		if _, err := bus.check(s, topic, false, data); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkMayRead is the check of one delivery.
func BenchmarkMayRead(b *testing.B) {
	for _, topic := range []string{"KeeperLogger", "EventMessages", "Replies/KeeperPrivilegeManager/X"} {
		b.Run(topic, func(b *testing.B) {
			s := bridge.speaker()
			b.ReportAllocs()
			for b.Loop() {
				s.mayRead(topic)
			}
		})
	}
}

func dialTLS(b *testing.B, address string) net.Conn {
	c, err := tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { c.Close() })
	return c
}

// mosquitto starts Debian's broker on a local socket and with TLS on a port.
func mosquitto(b *testing.B) (path, address string) {
	b.Helper()
	dir := b.TempDir()
	path = filepath.Join(dir, "s")
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	address = ln.Addr().String()
	ln.Close()
	_, port, _ := net.SplitHostPort(address)

	var cfg Config
	var ca string
	certificate(b, &ca)(&cfg)
	der, err := x509.MarshalECPrivateKey(cfg.TLS.Certificates[0].PrivateKey.(*ecdsa.PrivateKey))
	if err != nil {
		b.Fatal(err)
	}
	key := filepath.Join(dir, "key.pem")
	if err := os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}), 0o600); err != nil {
		b.Fatal(err)
	}
	conf := filepath.Join(dir, "conf")
	text := fmt.Sprintf("user root\nallow_anonymous true\nset_tcp_nodelay true\nlistener 0 %s\nlistener %s 127.0.0.1\ncertfile %s\nkeyfile %s\n", path, port, ca, key)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		b.Fatal(err)
	}
	cmd := exec.Command("mosquitto", "-c", conf)
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	eventually(b, "mosquitto listens", func() bool {
		c, err := net.Dial("tcp", address)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	return path, address
}
