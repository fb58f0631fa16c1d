package broker

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	paho5 "github.com/eclipse/paho.golang/paho"
	paho3 "github.com/eclipse/paho.mqtt.golang"
)

// delivered splits a PUBLISH of QoS 1 or 2 (version 3.1.1, or 5 without
// properties) into packet id and payload.
func (r *raw) delivered(topic string) (id uint16, payload string) {
	r.t.Helper()
	body := r.expect("a delivery on "+topic, 0x30)
	body, ok := bytes.CutPrefix(body, text(topic))
	if !ok {
		r.t.Fatalf("not on %s: %q", topic, body)
	}
	id, body = binary.BigEndian.Uint16(body), body[2:]
	if r.version == 5 {
		body = body[1:]
	}
	return id, string(body)
}

// Pitfall: if both directions shared one table of packet ids, a client's PUBLISH
// would displace a delivery with the same id, or be refused because of it.
func TestPacketIDsOfTheTwoDirectionsDoNotMeet(t *testing.T) {
	for _, version := range bothVersions {
		t.Run(fmt.Sprint(version), func(t *testing.T) {
			b := newBus(t)
			r := b.admitted(nosy, version)
			r.subscribe("echo", 2)

			// both reads the delivery and the PUBREC that follow a publish.
			both := func() (id uint16, payload string) {
				t.Helper()
				acknowledged := false
				for !acknowledged || payload == "" {
					first, body, err := r.next()
					switch {
					case err != nil:
						t.Fatal(err)
					case first == 0x50:
						acknowledged = true
						if len(body) > 2 && body[2] >= 0x80 || body[1] != 1 {
							t.Errorf("PUBREC %x", body)
						}
					case first == 0x34:
						body = bytes.TrimPrefix(body, text("echo"))
						id, payload = binary.BigEndian.Uint16(body), string(bytes.TrimPrefix(body[2:], []byte{0}))
					default:
						t.Fatalf("packet %#x %x", first, body)
					}
				}
				return id, payload
			}
			// The client's 1 and our 1 are open at once...
			r.publish("echo", 2, 1, []byte("first"))
			if ours, payload := both(); ours != 1 || payload != "first" {
				t.Fatalf("delivery %d %q", ours, payload)
			}
			// ...ours advances while the client's stands still...
			r.send(framed(0x50, 0, 1))
			if body := r.expect("PUBREL of our 1", 0x60); !bytes.Equal(body[:2], []byte{0, 1}) || len(body) > 2 {
				t.Errorf("PUBREL %x", body)
			}
			// ...the client's ends while ours stands still...
			r.send(framed(0x62, 0, 1))
			r.expect("PUBCOMP of the client's 1", 0x70)
			// ...and its id is free again although ours is not.
			r.publish("echo", 2, 1, []byte("second"))
			if second, payload := both(); second != 2 || payload != "second" {
				t.Errorf("delivery %d %q", second, payload)
			}
			r.send(framed(0x70, 0, 1)) // PUBCOMP of our 1
			r.send(framed(0x50, 0, 2))
			r.expect("PUBREL of our 2", 0x60)
			r.send(framed(0x70, 0, 2))
			r.send(framed(0x62, 0, 1))
			r.expect("PUBCOMP of the second", 0x70)
			r.alive()

			b.Broker.mu.Lock()
			out := b.ids[nosy.id()].out
			b.Broker.mu.Unlock()
			out.mu.Lock()
			defer out.mu.Unlock()
			if len(out.flights) != 0 {
				t.Errorf("left in flight: %v", out.flights)
			}
		})
	}
}

// The same with foreign clients and in bulk: one connection publishes to itself
// at QoS 2 and does not wait for anything.
func TestOverlappingQoS2OnOneConnection(t *testing.T) {
	const rounds = 3000
	check := func(t *testing.T, got []string) {
		t.Helper()
		if len(got) != rounds {
			t.Fatalf("%d messages arrived, want %d", len(got), rounds)
		}
		slices.Sort(got)
		if unique := len(slices.Compact(got)); unique != rounds {
			t.Errorf("%d different ones", unique)
		}
	}
	t.Run("3.1.1", func(t *testing.T) {
		b := newBus(t)
		c := client3(t, "unix://"+b.local(nosy), "", nosy)
		arrived := make(chan string, 2*rounds)
		if token := c.Subscribe("echo", 2, func(_ paho3.Client, m paho3.Message) { arrived <- string(m.Payload()) }); !token.WaitTimeout(patience) || token.Error() != nil {
			t.Fatal(token.Error())
		}
		var tokens []paho3.Token
		for i := range rounds {
			tokens = append(tokens, c.Publish("echo", 2, false, fmt.Sprint(i)))
			if i >= 200 { // as many as overlap
				if !tokens[i-200].WaitTimeout(patience) {
					t.Fatalf("publish %d is not acknowledged", i-200)
				}
			}
		}
		var got []string
		for range rounds {
			got = append(got, receive(t, fmt.Sprint("message ", len(got)), arrived))
		}
		for i, token := range tokens {
			if !token.WaitTimeout(patience) || token.Error() != nil {
				t.Fatalf("publish %d: %v", i, token.Error())
			}
		}
		check(t, got)
		if len(arrived) != 0 {
			t.Errorf("%d too many", len(arrived))
		}
	})
	t.Run("5", func(t *testing.T) {
		b := newBus(t)
		arrived := make(chan string, 2*rounds)
		c := client5(t, b.dial(nosy), nosy, func(p *paho5.Publish) { arrived <- string(p.Payload) })
		if _, err := c.Subscribe(t.Context(), &paho5.Subscribe{Subscriptions: []paho5.SubscribeOptions{{Topic: "echo", QoS: 2}}}); err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		for worker := range 20 {
			wg.Go(func() {
				for i := range rounds / 20 {
					res, err := c.Publish(t.Context(), &paho5.Publish{Topic: "echo", QoS: 2, Payload: fmt.Append(nil, worker, i)})
					if err != nil || res.ReasonCode >= 0x80 {
						t.Errorf("publish: %+v %v", res, err)
						return
					}
				}
			})
		}
		var got []string
		for range rounds {
			got = append(got, receive(t, fmt.Sprint("message ", len(got)), arrived))
		}
		wg.Wait()
		check(t, got)
	})
}

// A client that writes a lot before it reads anything must not end up waiting
// for us while we wait for it.
func TestAClientThatWritesBeforeItReads(t *testing.T) {
	bubble(t, func(t *testing.T, b *bus, ln *pipes) {
		r := newRaw(t, ln.connect(bridge, nil), 4)
		defer r.Close()
		r.connect(connecting{id: bridge.id()})
		const n = 1000
		for i := range n {
			r.publish("KeeperLogger", 1, uint16(i+1), []byte("x"))
		}
		for i := range n {
			if body := r.expect("PUBACK", 0x40); binary.BigEndian.Uint16(body) != uint16(i+1) {
				t.Fatalf("PUBACK %x", body)
			}
		}
	})
}

// But what it does not read is bounded.
func TestAClientThatNeverReads(t *testing.T) {
	bubble(t, func(t *testing.T, b *bus, ln *pipes) {
		c := ln.connect(bridge, nil)
		defer c.Close()
		r := newRaw(t, c, 4)
		r.connect(connecting{id: bridge.id()})
		var err error
		sent := 0
		for ; err == nil && sent < 2*maxControl; sent++ {
			_, err = c.Write(framed(0xc0)) // two bytes are answered with two
		}
		// Besides what is queued, one write is on its way, of what was queued
		// when it began.
		if sent < maxControl/2 || sent > maxControl {
			t.Errorf("cut after %d", sent)
		}
	})
}

// What a subscriber has not acknowledged is bounded, by us or by its own Receive
// Maximum; what it acknowledges makes room for the rest, in order.
func TestUnacknowledgedDeliveriesAreBounded(t *testing.T) {
	for _, tc := range []struct {
		name       string
		version    byte
		properties []byte
		most       int
	}{
		{"3.1.1", 4, nil, maxUnacknowledged},
		{"5", 5, nil, maxUnacknowledged},
		{"5, a client's own limit", 5, []byte{0x21, 0, 2}, 2},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := newBus(t)
			r := newRaw(t, b.dial(logger), tc.version)
			r.connect(connecting{id: logger.id(), properties: tc.properties})
			r.subscribe("KeeperLogger", 1)
			for i := range tc.most + 3 {
				if err := b.PublishAs(t.Context(), bridge.Principal, "KeeperLogger", fmt.Append(nil, i)); err != nil {
					t.Fatal(err)
				}
			}
			for i := range tc.most {
				if id, payload := r.delivered("KeeperLogger"); int(id) != i+1 || payload != fmt.Sprint(i) {
					t.Fatalf("delivery %d: %d %q", i, id, payload)
				}
			}
			r.alive() // an answer, and no delivery before it
			for i := range 3 {
				r.send(framed(0x40, 0, byte(i+1)))
				if _, payload := r.delivered("KeeperLogger"); payload != fmt.Sprint(tc.most+i) {
					t.Errorf("got %q", payload)
				}
			}
		})
	}
}

// Acknowledgements that nobody waits for change nothing, and cost the sender
// only its own time.
func TestUnexpectedAcknowledgements(t *testing.T) {
	for _, version := range bothVersions {
		b := newBus(t)
		r := b.admitted(logger, version)
		r.subscribe("KeeperLogger", 1)
		if err := b.PublishAs(t.Context(), bridge.Principal, "KeeperLogger", []byte("x")); err != nil {
			t.Fatal(err)
		}
		id, _ := r.delivered("KeeperLogger")
		r.send(framed(0x40, 0, 99)) // PUBACK
		r.send(framed(0x70, 0, 99)) // PUBCOMP
		r.send(framed(0x70, 0, byte(id)))
		for _, other := range []byte{99, byte(id)} {
			r.send(framed(0x50, 0, other)) // PUBREC
			body := r.expect("PUBREL", 0x60)
			if version == 5 && (len(body) < 3 || body[2] != 0x92) {
				t.Errorf("PUBREL %x", body)
			}
		}
		r.send(framed(0x62, 0, 99)) // PUBREL
		r.expect("PUBCOMP", 0x70)
		r.send(framed(0x40, 0, byte(id))) // the one that is due
		r.send(framed(0x40, 0, byte(id))) // and once more
		r.alive()
	}
}

func TestPacketIDsNeverRunOut(t *testing.T) {
	o := newOutbox(&conn{}, 0, newDrops())
	held := o.take(delivery{qos: 1})
	for i := range 200_000 {
		id := o.take(delivery{qos: 2})
		if id == 0 || id == held {
			t.Fatalf("id %d in round %d", id, i)
		}
		o.drop(delivery{qos: 2, id: id}, Expired)
	}
}

// A version 5 client's Maximum Packet Size: what is larger is left out, what
// follows is not.
func TestMaximumPacketSizeOfTheClient(t *testing.T) {
	b := newBus(t)
	r := newRaw(t, b.dial(logger), 5)
	r.connect(connecting{id: logger.id(), properties: []byte{0x27, 0, 0, 0, 100, 0x21, 0, 1}})
	r.subscribe("KeeperLogger", 1)
	for _, size := range []int{200, 10, 200} {
		if err := b.PublishAs(t.Context(), bridge.Principal, "KeeperLogger", make([]byte, size)); err != nil {
			t.Fatal(err)
		}
	}
	id, payload := r.delivered("KeeperLogger")
	if len(payload) != 10 {
		t.Errorf("%d bytes arrived", len(payload))
	}
	r.send(framed(0x40, byte(id>>8), byte(id)))
	r.alive()
	eventually(t, "both are counted", func() bool { return b.Stats().Dropped[TooLarge] == 2 })
}

// A message that waits longer than its expiry is not sent; one that waits less
// says how much is left.
func TestMessageExpiry(t *testing.T) {
	bubble(t, func(t *testing.T, b *bus, ln *pipes) {
		sub := newRaw(t, ln.connect(logger, nil), 5)
		defer sub.Close()
		sub.connect(connecting{id: logger.id(), properties: []byte{0x21, 0, 1}}) // one at a time
		sub.subscribe("KeeperLogger", 1)
		pub := newRaw(t, ln.connect(bridge, nil), 5)
		defer pub.Close()
		pub.connect(connecting{id: bridge.id()})
		for i, expiry := range []byte{60, 5, 9} {
			pub.send(pub.publication(0x32, "KeeperLogger", uint16(i+1), []byte{'0' + byte(i)}, 0x02, 0, 0, 0, expiry))
			pub.expect("PUBACK", 0x40)
		}
		expect := func(payload string, left byte) {
			body := sub.expect("a delivery", 0x30)
			if !bytes.HasSuffix(body, []byte(payload)) || !bytes.Contains(body, []byte{0x02, 0, 0, 0, left}) {
				t.Errorf("got %x, want %s with %d s left", body, payload, left)
			}
		}
		expect("0", 60)
		time.Sleep(6 * time.Second)
		sub.send(framed(0x40, 0, 1))
		expect("2", 3)
		b.dropped(Expired, 1)
	})
}
