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
	"strings"
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

// peers are this broker and the one that everyone knows, with an access list each,
// by transport.
var peers = []string{"local", "tls", "mosquitto-local", "mosquitto-tls"}

// party is a client of a broker under measurement.
func (p *parties) party() *raw {
	p.b.Helper()
	who := plugin(fmt.Sprint("Party", p.n), 500+p.n, []string{"bench/#"}, []string{"bench/#"})
	p.n++
	var c net.Conn
	switch {
	case p.bus == nil && p.tls:
		c = dialTLS(p.b, p.address)
	case p.bus == nil:
		c = dialPath(p.b, p.path)
	default:
		p.bus.world.mu.Lock()
		p.bus.members[who.pid] = who
		p.bus.world.mu.Unlock()
		if p.tls {
			c = dialTLS(p.b, p.bus.overTLS(who))
		} else {
			c = dialPath(p.b, p.bus.local(who))
		}
	}
	r := newRaw(p.b, c, 4)
	c.SetReadDeadline(time.Now().Add(5 * time.Minute))
	if code := r.connect(connecting{id: who.id(), keepAlive: 65535}); code != 0 {
		p.b.Fatalf("CONNACK %#x", code)
	}
	return r
}

// parties connect to one broker over one transport.
type parties struct {
	b             *testing.B
	bus           *bus // nil for mosquitto
	tls           bool
	path, address string // mosquitto's
	n             int
}

// at is the broker called name of peers.
func at(b *testing.B, name string) *parties {
	p := &parties{b: b, tls: strings.HasSuffix(name, "tls")}
	if strings.HasPrefix(name, "mosquitto") {
		p.path, p.address = mosquitto(b)
		return p
	}
	var ca string
	p.bus = newBus(b, certificate(b, &ca))
	return p
}

// BenchmarkEcho is one message from a client through the broker back to the same
// client, at QoS 1 with all acknowledgements.
func BenchmarkEcho(b *testing.B) {
	for _, size := range []struct {
		name  string
		bytes int
	}{{"", 256}, {"-16K", 16 << 10}, {"-500K", 500 << 10}} {
		for _, peer := range peers {
			b.Run(peer+size.name, func(b *testing.B) {
				r := at(b, peer).party()
				r.subscribe("bench/echo", 1)
				payload := make([]byte, size.bytes)
				b.SetBytes(int64(size.bytes))
				b.ReportAllocs()
				for b.Loop() {
					r.publish("bench/echo", 1, 1, payload)
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
						r.send(framed(0x40, body[12:14]...))
					}
				}
			})
		}
	}
}

// BenchmarkFlood is one publisher at QoS 1, with at most 100 messages that are
// not acknowledged, and one subscriber that reads; BenchmarkFanOut the same with
// ten.
func BenchmarkFlood(b *testing.B)  { flood(b, 1) }
func BenchmarkFanOut(b *testing.B) { flood(b, 10) }

func flood(b *testing.B, subscribers int) {
	for _, peer := range peers {
		b.Run(peer, func(b *testing.B) {
			p := at(b, peer)
			done := make(chan error, subscribers)
			for range subscribers {
				sub := p.party()
				sub.subscribe("bench/flood", 1)
				go func() { // ends with the last message, or the connection
					for range b.N {
						_, body, err := sub.next()
						if err != nil {
							done <- err
							return
						}
						sub.Write(framed(0x40, body[13:15]...))
					}
					done <- nil
				}()
			}
			pub := p.party()
			window := make(chan struct{}, 100)
			go func() { // ends with the connection
				for {
					if _, _, err := pub.next(); err != nil {
						return
					}
					<-window
				}
			}()
			payload := make([]byte, 256)
			b.ResetTimer()
			for i := range b.N {
				window <- struct{}{}
				pub.publish("bench/flood", 1, uint16(i%65535+1), payload)
			}
			for range subscribers {
				if err := <-done; err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkConnect is CONNECT to CONNACK and the end of the connection.
func BenchmarkConnect(b *testing.B) {
	for _, peer := range peers {
		b.Run(peer, func(b *testing.B) {
			p := at(b, peer)
			path, address := p.path, p.address
			if p.bus != nil {
				path, address = p.bus.local(nosy), p.bus.overTLS(nosy)
			}
			for b.Loop() {
				var c net.Conn
				if p.tls {
					c = dialTLS(b, address)
				} else {
					c = dialPath(b, path)
				}
				r := newRaw(b, c, 4)
				if code := r.connect(connecting{id: nosy.id()}); code != 0 {
					b.Fatalf("CONNACK %#x", code)
				}
				r.Close()
			}
		})
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
	acl := filepath.Join(dir, "acl")
	if err := os.WriteFile(acl, []byte("topic readwrite bench/#\ntopic readwrite other/#\n"), 0o600); err != nil {
		b.Fatal(err)
	}
	text := fmt.Sprintf("user root\nallow_anonymous true\nacl_file "+acl+"\nset_tcp_nodelay true\nlistener 0 %s\nlistener %s 127.0.0.1\ncertfile %s\nkeyfile %s\n", path, port, ca, key)
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
