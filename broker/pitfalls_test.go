package broker

import (
	"bytes"
	"strconv"
	"strings"
	"testing"

	"kpm/core"
	"kpm/core/wire"
)

// What brokers are known to do wrong, or differently from what is needed here. More
// of it is tested where it belongs: silent sockets, claimed lengths, slow
// subscribers and errors of Accept in listener_test.go, Wills at CONNECT and client
// ids in admit_test.go, packet ids in outbox_test.go.

// A Will says nothing that its client may not say.
func TestAWillIsAPublishLikeAnyOther(t *testing.T) {
	for _, version := range bothVersions {
		b := newBus(t)
		heard := b.listenTo("#")
		sub := b.admitted(logger, version)
		sub.subscribe("KeeperLogger", 1)

		connectWith := func(topic string) *raw {
			r := newRaw(t, b.dial(bridge), version)
			c := connecting{id: bridge.id(), willTopic: topic, willQos: 1}
			if code := r.connect(c); code != 0 {
				t.Fatalf("CONNACK %#x", code)
			}
			return r
		}
		// Said when the connection breaks; not retained.
		connectWith("KeeperLogger").Close()
		if body := sub.expect("the Will", 0x30); !bytes.HasSuffix(body, []byte("gone")) {
			t.Errorf("%q", body)
		}
		late := newRaw(t, b.dial(nosy), version)
		late.connect(connecting{id: nosy.id()})
		late.subscribe("KeeperLogger", 1)
		late.alive() // and nothing was retained for it

		// Not said after a goodbye.
		polite := connectWith("KeeperLogger")
		polite.send(framed(0xe0))
		polite.ended("DISCONNECT")
		// Not said if the right has gone in the meantime.
		eventually(t, "gone", func() bool { return b.Stats().Clients == 2 })
		gone := &conn{will: &publication{topic: "KeeperLogger"}}
		gone.rights.Store(logger.speaker())
		b.publishWill(gone)
		if got := b.Stats().RefusedWills; got != 1 {
			t.Errorf("%d Wills were refused, want 1", got)
		}
		sub.alive()
		select {
		case got := <-heard:
			t.Errorf("the service heard %q, which is no message", got)
		default:
		}
		eventually(t, "the service heard the one Will that was said", func() bool { return b.Stats().Malformed == 1 })
	}
}

// A refused publish without acknowledgement would have its client wait for ever.
func TestARefusedPublishIsAcknowledgedAndNotDelivered(t *testing.T) {
	for _, version := range bothVersions {
		for _, topic := range []string{"Nosy/x", "$SYS/x", "$share/g/x", "KeeperPolicy", strings.Repeat("x", 2000)} {
			b := newBus(t)
			spy := b.admitted(nosy, version)
			spy.subscribe("#", 2)
			pub := b.admitted(bridge, version)
			reason := func(ack []byte) byte {
				if len(ack) > 2 {
					return ack[2]
				}
				return 0
			}
			want := byte(0)
			if version == 5 {
				want = 0x87
			}
			pub.publish(topic, 0, 0, []byte("x"))
			pub.publish(topic, 1, 1, []byte("x"))
			if got := reason(pub.expect("PUBACK", 0x40)); got != want {
				t.Errorf("PUBACK %#x, want %#x", got, want)
			}
			pub.publish(topic, 2, 2, []byte("x"))
			if got := reason(pub.expect("PUBREC", 0x50)); got != want {
				t.Errorf("PUBREC %#x, want %#x", got, want)
			}
			if version == 4 {
				pub.send(framed(0x62, 0, 2))
				pub.expect("PUBCOMP", 0x70)
			}
			pub.alive()
			// The next permitted one is the first that anyone hears of.
			pub.publish("KeeperLogger", 1, 2, []byte("permitted"))
			pub.expect("PUBACK", 0x40)
			if body := spy.expect("a delivery", 0x30); !bytes.HasSuffix(body, []byte("permitted")) {
				t.Errorf("heard %q", body)
			}
			if s := b.Stats(); s.RefusedPublishes != 3 {
				t.Errorf("%+v", s)
			}
		}
	}
}

// With an alias, the topic that is checked would be "". There are none.
func TestTopicAliasesAreRefused(t *testing.T) {
	for name, topic := range map[string]string{"set": "KeeperLogger", "used": ""} {
		b := newBus(t)
		r := b.admitted(bridge, 5)
		r.send(r.publication(0x30, topic, 0, []byte("x"), 0x23, 0, 1))
		if body := r.expect("DISCONNECT", 0xe0); body[0] != 0x94 {
			t.Errorf("%s: DISCONNECT %#x", name, body[0])
		}
		r.ended(name)
	}
}

// A client's offer of aliases is not taken up either.
func TestNoAliasIsUsedTowardsClients(t *testing.T) {
	b := newBus(t)
	sub := newRaw(t, b.dial(logger), 5)
	sub.connect(connecting{id: logger.id(), properties: []byte{0x22, 0, 10}})
	sub.subscribe("KeeperLogger", 0)
	for range 2 {
		if err := b.PublishAs(t.Context(), bridge.Principal, "KeeperLogger", []byte("x")); err != nil {
			t.Fatal(err)
		}
		if body := sub.expect("a delivery", 0x30); !bytes.HasPrefix(body, text("KeeperLogger")) {
			t.Errorf("%q", body)
		}
	}
}

// "$share/g/filter" is another way to say a filter.
func TestDollarFiltersAreRefused(t *testing.T) {
	for _, version := range bothVersions {
		b := newBus(t)
		r := b.admitted(nosy, version) // declares "#"
		for _, filter := range []string{"$SYS/#", "$share/g/#", "$SHARE/g/KeeperPolicy", "$share/g/x", "$x", "a#", "a/+b", "", "a/#/b"} {
			if code := r.subscribe(filter, 1); code < 0x80 {
				t.Errorf("%q: SUBACK %#x", filter, code)
			}
		}
		if got := b.Stats().RefusedSubscriptions; got != 9 {
			t.Errorf("%d refusals counted", got)
		}
	}
}

// A filter that covers authority topics is granted if declared, and is blind to
// them: the check of each delivery.
func TestWildcardsAreBlindToAuthorityTopics(t *testing.T) {
	b := newBus(t)
	b.withRequests()
	spy := b.admitted(nosy, 4)
	for _, filter := range []string{"#", "+", "+/+/+"} {
		if code := spy.subscribe(filter, 1); code != 1 {
			t.Fatalf("%s: SUBACK %#x", filter, code)
		}
	}
	question := b.ask(t, evaluating)
	if err := b.Publish(t.Context(), wire.TopicEvents, envelope(t, wire.TypeEvent, service.Principal, event("Startup", ""))); err != nil {
		t.Fatal(err)
	}
	pub := b.admitted(policy, 4)
	pub.publish(wire.ReplyTopic(service.Principal, string(evaluating)), 1, 1,
		message(t, wire.TypePolicyResponse, policy.Principal, wire.PolicyResponse{RequestID: evaluating}, answering(question)))
	pub.expect("PUBACK", 0x40)
	pub.publish("KeeperLogger", 1, 1, []byte("hello"))
	if body := spy.expect("a delivery", 0x30); !bytes.HasPrefix(body, text("KeeperLogger")) {
		t.Errorf("heard %q", body)
	}
	if got := b.Stats().RefusedPublishes; got != 0 {
		t.Errorf("%d publishes were refused", got)
	}
}

// The retain flag keeps nothing.
func TestNothingIsRetained(t *testing.T) {
	b := newBus(t)
	pub := b.admitted(bridge, 4)
	pub.send(pub.publication(0x33, "KeeperLogger", 1, []byte("keep me")))
	pub.expect("PUBACK", 0x40)
	sub := b.admitted(logger, 4)
	sub.subscribe("KeeperLogger", 1)
	sub.alive() // a retained message would have come first
}

// A session is kept for a plugin whose file says so, and for nobody else.
func TestNoSessionIsKept(t *testing.T) {
	for _, version := range bothVersions {
		b := newBus(t)
		path := b.local(logger)
		keep := connecting{id: logger.id(), keepSession: true}
		if version == 5 {
			keep.properties = []byte{0x11, 0, 0, 1, 0} // session expiry
		}
		for range 2 {
			r := newRaw(t, dialPath(t, path), version)
			r.send(keep.encode(version))
			if body := r.expect("CONNACK", 0x20); body[0] != 0 || body[1] != 0 {
				t.Fatalf("CONNACK %x", body)
			} else if version == 5 && !bytes.Contains(body, []byte{0x11, 0, 0, 0, 0}) {
				t.Errorf("the CONNACK does not say that sessions end: %x", body)
			}
			r.alive() // and no message from before
			r.subscribe("KeeperLogger", 1)
			r.Close()
			eventually(t, "gone", func() bool { return b.Stats().Clients == 0 })
			if b.Heard("KeeperLogger") {
				t.Error("a subscription is kept")
			}
			if err := b.PublishAs(t.Context(), bridge.Principal, "KeeperLogger", []byte("while away")); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// An acknowledged message is in the
// queue of everyone who is to get it.
func TestAcknowledgedMeansQueued(t *testing.T) {
	b := newBus(t)
	release := make(chan struct{})
	heard := make(chan struct{}, 1)
	if err := b.Subscribe("KeeperLogger", func(core.Principal, string, wire.RequestMessage) {
		heard <- struct{}{}
		<-release
	}); err != nil {
		t.Fatal(err)
	}
	pub := b.admitted(bridge, 4)
	pub.publish("KeeperLogger", 1, 1, line(t, bridge, "the handler is busy"))
	pub.expect("PUBACK", 0x40)
	receive(t, "the first message", heard)
	for i := range 10 {
		pub.publish("KeeperLogger", 1+byte(i%2), uint16(i+2), line(t, bridge, "x"))
		pub.expect("PUBACK or PUBREC", 0x40+0x10*byte(i%2))
		if got := len((*b.Broker.local.Load())[0].queue); got != i+1 {
			t.Errorf("acknowledged message %d: %d are queued", i, got)
		}
	}
	close(release)
	for range 10 {
		receive(t, "a message", heard)
	}
}

// A version 5 SUBSCRIBE without its last byte (fatal to a decoder that indexes past
// the end) costs its sender the connection, and nobody else anything.
func TestAPacketThatEndsEarly(t *testing.T) {
	var log records
	b := newBus(t, logTo(&log))
	witness := b.admitted(logger, 4)
	witness.subscribe("KeeperLogger", 1)
	r := newRaw(t, b.dial(bridge), 5)
	r.connect(connecting{id: bridge.id(), willTopic: "KeeperLogger"})
	r.subscribe("MyBridge", 1)
	r.send(framed(0x82, append([]byte{0, 1, 0}, text("MyBridge")...)...))
	r.ended("the packet")
	if body := witness.expect("the Will", 0x30); !bytes.HasSuffix(body, []byte("gone")) {
		t.Errorf("%q", body)
	}
	eventually(t, "nothing left of it", func() bool { return b.Stats().Clients == 1 })
	if b.Heard("MyBridge") {
		t.Error("its subscriptions are left")
	}
	if s := b.Stats(); s.Faults != 1 {
		t.Errorf("%+v", s)
	}
	if !strings.Contains(log.String(), "the packet ends early") {
		t.Errorf("log: %s", log.String())
	}
	b.admitted(bridge, 5).alive()
}

// A publisher's own properties are not sent back to it, multiplied.
func TestAcknowledgementsEchoNothing(t *testing.T) {
	b := newBus(t)
	r := b.admitted(bridge, 5)
	property := append([]byte{0x26}, append(text("key"), text("value")...)...)
	r.send(r.publication(0x32, "KeeperLogger", 1, nil, property...))
	if body := r.expect("PUBACK", 0x40); len(body) > 4 {
		t.Errorf("PUBACK %x", body)
	}
}

// A duplicate of an unreleased QoS 2 message is not delivered again.
func TestADuplicateIsNotDelivered(t *testing.T) {
	for _, version := range bothVersions {
		b := newBus(t)
		heard := b.listenTo("#")
		r := b.admitted(bridge, version)
		for _, first := range []byte{0x34, 0x3c, 0x3c} {
			r.send(r.publication(first, "KeeperLogger", 7, line(t, bridge, "once")))
			r.expect("PUBREC", 0x50)
		}
		r.send(framed(0x62, 0, 7))
		r.expect("PUBCOMP", 0x70)
		r.send(r.publication(0x34, "KeeperLogger", 7, line(t, bridge, "twice")))
		r.expect("PUBREC", 0x50)
		expectHeard(t, heard, "MyBridge KeeperLogger once")
		expectHeard(t, heard, "MyBridge KeeperLogger twice")
	}
}

// A second CONNECT ends the connection, and its client id is not changed by it.
func TestASecondConnectIsFatal(t *testing.T) {
	for _, version := range bothVersions {
		b := newBus(t)
		r := b.admitted(bridge, version)
		r.send(connecting{id: policy.id()}.encode(version))
		r.ended("a second CONNECT")
	}
}

// NoLocal, subscription identifiers and message properties of version 5 survive
// our own delivery.
func TestVersion5Delivery(t *testing.T) {
	b := newBus(t)
	r := b.admitted(nosy, 5)
	subscribe := func(id byte, filter string, options byte) {
		r.send(framed(0x82, append(append([]byte{0, 1, 2, 0x0b, id}, text(filter)...), options)...))
		r.expect("SUBACK", 0x90)
	}
	subscribe(7, "mine/+", 0x04|1)
	subscribe(9, "x", 1)
	subscribe(8, "+", 2)
	r.publish("mine/1", 0, 0, []byte("not to myself"))
	properties := bytes.Join([][]byte{
		{0x08}, text("x/reply"), // response topic
		{0x09}, text("correlation"), // correlation data
		{0x26}, text("k"), text("v"), // user property
		{0x02, 0, 0, 0, 60}, // expiry
	}, nil)
	r.send(r.publication(0x30, "x", 0, []byte("to myself"), properties...))
	body := r.expect("a delivery", 0x30)
	for _, want := range [][]byte{text("x"), text("x/reply"), text("correlation"), []byte("to myself"), {0x0b, 8}, {0x0b, 9}, append(text("k"), text("v")...), {0x02, 0, 0, 0}} {
		if !bytes.Contains(body, want) {
			t.Errorf("%q is missing in %q", want, body)
		}
	}
	if bytes.Contains(body, []byte{0x0b, 7}) {
		t.Errorf("an identifier too many: %q", body)
	}
}

// On an authority topic the envelope is all there is: what version 5 can say
// beside it was not checked.
func TestPropertiesDoNotPassOnAuthorityTopics(t *testing.T) {
	b := newBus(t)
	sub, pub := b.admitted(bridge, 5), b.admitted(job, 5)
	sub.subscribe("EventMessages", 1)
	properties := append(append([]byte{0x08}, text("EventMessages")...), append([]byte{0x09}, text("id")...)...)
	data := message(t, wire.TypeEvent, job.Principal, event("Custom", ""))
	pub.send(pub.publication(0x30, "EventMessages", 0, data, properties...))
	if body := sub.expect("the event", 0x30); !bytes.Equal(body, append(append(text("EventMessages"), 0), data...)) {
		t.Errorf("%q", body)
	}
}

// Whoever has been told that it has subscribed has: the next message is for it.
func TestSubscribedMeansHeard(t *testing.T) {
	b := newBus(t)
	r := b.admitted(nosy, 4)
	for i := range 200 {
		topic := "t" + strconv.Itoa(i)
		if code := r.subscribe(topic, 0); code != 0 || !b.Heard(topic) {
			t.Fatalf("%s: SUBACK %#x, heard %v", topic, code, b.Heard(topic))
		}
	}
}
