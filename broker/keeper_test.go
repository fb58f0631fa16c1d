package broker

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"
	"time"

	"kpm/core"
)

// keeping is m as a plugin whose file says CleanSession false.
func keeping(m member) Plugin {
	return Plugin{
		Principal: core.Principal{Kind: core.Plugin, Name: m.Name}, Topic: m.subscribe[0],
		Subscribe: m.subscribe[1:], Publish: m.publish, Keep: true,
	}
}

// sends publishes at QoS 1 or 2, completes it, and returns the reason code.
func (r *raw) sends(topic string, qos byte, id uint16, payload string) byte {
	r.t.Helper()
	r.publish(topic, qos, id, []byte(payload))
	reason := func(ack []byte) byte {
		if len(ack) > 2 {
			return ack[2]
		}
		return 0
	}
	if qos == 1 {
		return reason(r.expect("PUBACK", 0x40))
	}
	code := reason(r.expect("PUBREC", 0x50))
	if code < 0x80 {
		r.send(framed(0x62, byte(id>>8), byte(id)))
		r.expect("PUBCOMP", 0x70)
	}
	return code
}

// expectDeliveries reads messages at QoS 1 or 2 and acknowledges each to its end.
func (r *raw) expectDeliveries(topic string, want ...string) {
	r.t.Helper()
	for open := 0; len(want) > 0 || open > 0; {
		first, body, err := r.next()
		switch {
		case err != nil:
			r.t.Fatalf("%d are missing: %v", len(want), err)
		case first>>4 == 6:
			r.send(framed(0x70, body[:2]...))
			open--
			continue
		case first>>4 != 3 || len(want) == 0:
			r.t.Fatalf("packet %#x %q", first, body)
		}
		body, ok := bytes.CutPrefix(body, text(topic))
		if !ok || !bytes.HasSuffix(body, []byte(want[0])) {
			r.t.Fatalf("got %q, want %s on %s", body, want[0], topic)
		}
		want = want[1:]
		if first&6 == 4 {
			r.send(framed(0x50, body[:2]...))
			open++
		} else {
			r.send(framed(0x40, body[:2]...))
		}
	}
}

// connects is who with client id, which is not the regular one of a test.
func (b *bus) connects(who member, version byte, c connecting) *raw {
	b.t.Helper()
	r := newRaw(b.t, b.dial(who), version)
	if code := r.connect(c); code != 0 {
		b.t.Fatalf("%s: CONNACK %#x", c.id, code)
	}
	return r
}

// gone ends r and waits until nothing is left of it.
func (b *bus) gone(r *raw, left int) {
	b.t.Helper()
	r.Close()
	eventually(b.t, "gone", func() bool { return b.Stats().Connections == left })
}

// What arrives at QoS 1 and 2 for the primary and the declared topics of a plugin
// that is down is handed to its next connection, in order; whatever its client
// id, and whether that connection asks for a clean session or not.
func TestMessagesOfTheMeantime(t *testing.T) {
	for _, version := range bothVersions {
		for _, clean := range []bool{true, false} {
			b := newBus(t)
			b.SetPlugins([]Plugin{keeping(bridge)})
			pub := b.admitted(nosy, 5)
			for i, qos := range []byte{2, 1, 0, 2} {
				if qos == 0 {
					pub.publish("MyBridge", 0, 0, []byte("not kept"))
					continue
				}
				if code := pub.sends("MyBridge", qos, uint16(i+1), fmt.Sprint("m", i)); code != 0 {
					t.Errorf("reason code %#x", code)
				}
			}
			pub.sends("MyBridge/Commands/go", 2, 9, "declared")
			pub.alive()
			if s := b.Topics().Speakers[0]; s.Kept != 4 || !s.Keeps || s.KeptDropped != 0 {
				t.Errorf("%+v", s)
			}
			sub := b.connects(bridge, version, connecting{id: "MyBridge_1102", keepSession: !clean})
			sub.alive() // nothing before it subscribes
			sub.subscribe("MyBridge", 2)
			sub.expectDeliveries("MyBridge", "m0", "m1", "m3")
			sub.subscribe("MyBridge/Commands/+", 1)
			sub.expectDeliveries("MyBridge/Commands/go", "declared")
			if code := pub.sends("MyBridge", 2, 10, "live"); code != 0 {
				t.Errorf("reason code %#x", code)
			}
			sub.expectDeliveries("MyBridge", "live")
			sub.alive()
			if s := b.Stats(); s.lost() != 0 || b.Topics().Speakers[0].Kept != 0 {
				t.Errorf("%+v", s)
			}
		}
	}
}

// Whose file does not say so has nothing kept, and version 5 senders hear it.
func TestNothingIsKeptForOthers(t *testing.T) {
	b := newBus(t)
	other := keeping(logger)
	other.Keep = false
	session := keeping(desktop)
	session.Principal = desktop.Principal
	b.SetPlugins([]Plugin{keeping(bridge), other, session})
	pub := b.admitted(nosy, 5)
	for _, topic := range []string{"KeeperLogger", "KeeperClient", "elsewhere"} {
		for _, qos := range []byte{1, 2} {
			if code := pub.sends(topic, qos, 1, "x"); code != 0x10 {
				t.Errorf("%s QoS %d: reason code %#x, want 0x10", topic, qos, code)
			}
		}
	}
	// Authority topics hold for a moment: bridge declares EventMessages.
	if err := b.PublishAs(t.Context(), job.Principal, "EventMessages", message(t, "CustomEvent", job.Principal, event("Custom", ""))); err != nil {
		t.Fatal(err)
	}
	for _, s := range b.Topics().Speakers {
		if s.Kept != 0 {
			t.Errorf("%+v", s)
		}
	}
}

// What a connection was sent and has not completed comes again on the next one. To
// the same client that wants its session, as the specifications say: with the same
// packet id and marked as a duplicate, or as a PUBREL of what it has received; to
// another process, which knows of nothing, as if new.
func TestWhatWasNotAcknowledgedComesAgain(t *testing.T) {
	for _, version := range bothVersions {
		for _, same := range []bool{true, false} {
			b := newBus(t)
			b.SetPlugins([]Plugin{keeping(bridge)})
			pub := b.admitted(nosy, 4)
			keep := connecting{id: bridge.id(), keepSession: true}
			if version == 5 {
				keep.properties = []byte{0x11, 0, 0, 1, 0} // session expiry
			}
			first := b.connects(bridge, version, keep)
			first.subscribe("MyBridge", 2)
			for i, m := range []string{"done", "received", "sent"} {
				pub.sends("MyBridge", 2, uint16(i+1), m)
			}
			ids := make([]uint16, 3)
			for i := range ids {
				ids[i], _ = first.delivered("MyBridge")
			}
			for i, id := range ids[:2] {
				first.send(framed(0x50, byte(id>>8), byte(id)))
				first.expect("PUBREL", 0x60)
				if i == 0 {
					first.send(framed(0x70, byte(id>>8), byte(id)))
				}
			}
			first.publish("KeeperLogger", 2, 77, []byte("unreleased"))
			first.expect("PUBREC", 0x50)
			b.gone(first, 1)
			pub.sends("MyBridge", 1, 9, "meanwhile")

			again := keep
			if !same {
				again.id = "MyBridge_1102"
			}
			second := newRaw(t, b.dial(bridge), version)
			second.send(again.encode(version))
			present := second.expect("CONNACK", 0x20)[0]
			if want := same; (present == 1) != want {
				t.Errorf("version %d, same %v: session present %d", version, same, present)
			}
			wantID := ids[2]
			if same {
				if body := second.expect("PUBREL", 0x60); binary.BigEndian.Uint16(body) != ids[1] {
					t.Errorf("PUBREL %x", body)
				}
				second.send(framed(0x70, byte(ids[1]>>8), byte(ids[1])))
			} else {
				// It was received, and what came of it died with that process.
				second.subscribe("MyBridge", 2)
				if id, payload := second.delivered("MyBridge"); id != 1 || payload != "received" {
					t.Errorf("delivery %d %q", id, payload)
				}
				wantID = 2
			}
			first2, body, err := second.next()
			if dup := first2&8 != 0; err != nil || first2>>4 != 3 || dup != same || !bytes.HasSuffix(body, []byte("sent")) {
				t.Fatalf("version %d, same %v: packet %#x %q %v", version, same, first2, body, err)
			}
			if id := binary.BigEndian.Uint16(body[10:]); id != wantID {
				t.Errorf("packet id %d, want %d", id, wantID)
			}
			second.expectDeliveries("MyBridge", "meanwhile")
			second.send(framed(0x50, body[10:12]...))
			second.expect("PUBREL", 0x60)
			second.send(framed(0x70, body[10:12]...))
			if same { // its own unreleased message is remembered
				heard := b.listenTo("KeeperLogger")
				second.send(second.publication(0x3c, "KeeperLogger", 77, line(t, bridge, "again")))
				second.expect("PUBREC", 0x50)
				second.send(framed(0x62, 0, 77))
				second.expect("PUBCOMP", 0x70)
				select {
				case got := <-heard:
					t.Errorf("heard %q", got)
				default:
				}
			}
			second.alive()
			b.gone(second, 1)
		}
	}
}

// A clean start takes no session; what was kept for the plugin comes all the same.
func TestACleanStartKeepsThePluginsMessages(t *testing.T) {
	for _, version := range bothVersions {
		b := newBus(t)
		b.SetPlugins([]Plugin{keeping(bridge)})
		first := b.connects(bridge, version, connecting{id: bridge.id(), keepSession: true, properties: nil})
		first.subscribe("MyBridge", 2)
		b.gone(first, 0)
		b.admitted(nosy, 4).sends("MyBridge", 2, 1, "kept")
		second := newRaw(t, b.dial(bridge), version)
		second.send(connecting{id: bridge.id()}.encode(version))
		if body := second.expect("CONNACK", 0x20); body[0] != 0 || body[1] != 0 {
			t.Fatalf("CONNACK %x", body)
		}
		second.subscribe("MyBridge", 2)
		second.expectDeliveries("MyBridge", "kept")
		second.alive()
	}
}

// What is kept is bounded by count, bytes and age. What breaks a bound is refused,
// counted and logged; what was accepted stays.
func TestWhatIsKeptIsBounded(t *testing.T) {
	for _, tc := range []struct {
		name    string
		payload int
		fit     int
	}{
		{"count", 1, maxKept},
		{"bytes", maxPacket / 2, (maxKeptBytes - 1) / (maxPacket / 2)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var log records
			bubble(t, func(t *testing.T, b *bus, ln *pipes) {
				b.SetPlugins([]Plugin{keeping(bridge)})
				pub := newRaw(t, ln.connect(nosy, nil), 5)
				defer pub.Close()
				pub.connect(connecting{id: nosy.id(), keepAlive: 65535})
				for i := range tc.fit + 3 {
					pub.SetReadDeadline(time.Time{})
					code := pub.sends("MyBridge", 1, uint16(i+1), strings.Repeat("x", tc.payload))
					if want := byte(0); code != want && i < tc.fit || i >= tc.fit && code != 0x97 {
						t.Fatalf("message %d: reason code %#x", i, code)
					}
				}
				if s := b.Topics().Speakers[0]; s.Kept != tc.fit || s.KeptDropped != 3 || b.Stats().Dropped[KeptFull] != 3 {
					t.Errorf("%+v", s)
				}
				if !strings.Contains(log.String(), "messages for a plugin that is away are dropped") {
					t.Errorf("log: %s", log.String())
				}
				time.Sleep(keptLife + time.Second)
				if s := b.Topics().Speakers[0]; s.Kept != 0 || s.KeptDropped != uint64(tc.fit)+3 {
					t.Errorf("an hour later: %+v", s)
				}
			}, logTo(&log))
		})
	}
}

// A plugin that is to be started by a message is asked for, and finds the message.
func TestAMessageWakesAPlugin(t *testing.T) {
	wanted := make(chan string, 8)
	b := newBus(t, func(cfg *Config) {
		cfg.OnWanted = func(p core.Principal, topic string) { wanted <- p.Name + " " + topic }
	})
	sleeper := keeping(bridge)
	sleeper.Keep, sleeper.Wake = false, true
	b.SetPlugins([]Plugin{sleeper})
	pub := b.admitted(nosy, 4)
	pub.sends("MyBridge/Commands/go", 2, 1, "not the primary topic")
	pub.sends("MyBridge", 2, 2, "go")
	if got := receive(t, "a wish", wanted); got != "MyBridge MyBridge" {
		t.Errorf("%q", got)
	}
	sub := b.admitted(bridge, 4)
	sub.subscribe("MyBridge", 2)
	sub.expectDeliveries("MyBridge", "go")
	pub.sends("MyBridge", 2, 3, "it runs")
	sub.expectDeliveries("MyBridge", "it runs")
	if len(wanted) != 0 {
		t.Errorf("also wanted %q", <-wanted)
	}
}

// A connection that is cut since it does not keep up loses nothing that is kept.
func TestACutSubscriberGetsTheRestLater(t *testing.T) {
	bubble(t, func(t *testing.T, b *bus, ln *pipes) {
		b.SetPlugins([]Plugin{keeping(bridge)})
		slow := newRaw(t, ln.connect(bridge, nil), 4)
		slow.connect(connecting{id: bridge.id()})
		slow.subscribe("MyBridge", 1)
		pub := newRaw(t, ln.connect(nosy, nil), 5)
		defer pub.Close()
		pub.SetReadDeadline(time.Time{})
		pub.connect(connecting{id: nosy.id(), keepAlive: 65535})
		sent := 0
		for code := byte(0); code == 0 && b.Stats().SlowSubscribers == 0 && sent < 100; sent++ {
			code = pub.sends("MyBridge", 1, uint16(sent+1), fmt.Sprintf("%d%s", sent, strings.Repeat("x", maxPacket/2)))
		}
		time.Sleep(time.Second)
		next := newRaw(t, ln.connect(bridge, nil), 4)
		defer next.Close()
		next.connect(connecting{id: bridge.id()})
		next.subscribe("MyBridge", 1)
		kept := 0
		for ; kept < sent; kept++ {
			id, payload := next.delivered("MyBridge")
			if !strings.HasPrefix(payload, fmt.Sprintf("%dx", kept)) {
				t.Fatalf("message %d: %.10q", kept, payload)
			}
			next.send(framed(0x40, byte(id>>8), byte(id)))
			if uint64(sent-kept-1) == b.Stats().lost() {
				break
			}
		}
		// What its publisher was told is missed may come all the same, if the cut came
		// between the queue and the answer. Nothing comes twice.
		next.send(framed(0xc0))
		for {
			first, body, err := next.next()
			if err == nil && first>>4 == 0xd {
				return
			}
			kept++
			if err != nil || first>>4 != 3 || !bytes.Contains(body, fmt.Appendf(nil, "%dx", kept)) {
				t.Fatalf("after all that was kept: packet %#x %.40x, %v", first, body, err)
			}
		}
	})
}

// Rights are looked at again when they change: for what is published, subscribed
// to, and delivered, also what is queued already.
func TestRightsAreReevaluated(t *testing.T) {
	b := newBus(t)
	sub, pub := b.admitted(bridge, 5), b.admitted(nosy, 5)
	sub.subscribe("MyBridge", 1)
	if code := pub.sends("MyBridge", 1, 1, "allowed"); code != 0 {
		t.Errorf("reason code %#x", code)
	}
	sub.expectDeliveries("MyBridge", "allowed")
	change := func(who member) {
		b.world.mu.Lock()
		b.members[who.pid] = who
		b.world.mu.Unlock()
		b.SetPlugins(nil)
	}
	deaf := bridge
	deaf.subscribe = []string{"MyBridge/Commands/+"}
	change(deaf)
	if code := pub.sends("MyBridge", 1, 2, "withheld"); code != 0x10 {
		t.Errorf("after the topic was taken away: reason code %#x", code)
	}
	if code := sub.subscribe("MyBridge", 1); code != 0x87 {
		t.Errorf("SUBACK %#x", code)
	}
	change(bridge)
	mute := nosy
	mute.publish = nil
	change(mute)
	if code := pub.sends("MyBridge", 1, 3, "refused"); code != 0x87 {
		t.Errorf("reason code %#x", code)
	}
	change(nosy)
	if code := pub.sends("MyBridge", 1, 4, "allowed again"); code != 0 {
		t.Errorf("reason code %#x", code)
	}
	sub.expectDeliveries("MyBridge", "allowed again")
	sub.alive()
}

// A version 5 session is resumed for as long as its client asked, at CONNECT or
// with its DISCONNECT.
func TestASessionExpires(t *testing.T) {
	for _, tc := range []struct {
		goodbye []byte
		away    time.Duration
		present byte
	}{
		{framed(0xe0), 59 * time.Second, 1},
		{framed(0xe0), 61 * time.Second, 0},
		{framed(0xe0, 0, 5, 0x11, 0, 0, 0, 90), 61 * time.Second, 1},
		{framed(0xe0, 0, 5, 0x11, 0, 0, 0, 0), 0, 0},
	} {
		bubble(t, func(t *testing.T, b *bus, ln *pipes) {
			b.SetPlugins([]Plugin{keeping(bridge)})
			keep := connecting{id: bridge.id(), keepSession: true, properties: []byte{0x11, 0, 0, 0, 60}}
			first := newRaw(t, ln.connect(bridge, nil), 5)
			first.connect(keep)
			first.send(tc.goodbye)
			first.ended("DISCONNECT")
			time.Sleep(tc.away)
			second := newRaw(t, ln.connect(bridge, nil), 5)
			defer second.Close()
			second.SetReadDeadline(time.Time{})
			second.send(keep.encode(5))
			if body := second.expect("CONNACK", 0x20); body[0] != tc.present || body[1] != 0 {
				t.Errorf("%x, away %v: CONNACK %x", tc.goodbye, tc.away, body)
			}
		})
	}
}
