package broker

import (
	"bytes"
	"fmt"
	"time"
)

// statements are tried in this order; "3" is version 3.1.1.
var statements = []statement{
	// Strings and headers.
	{"1.5.3-1, 1.5.4-1", "35", "a string that is not UTF-8 ends the connection", "", func(s *stand) {
		s.fatal(s.raw().publication(0x30, "st/\xff", 0, nil), 0x81)
	}},
	{"1.5.3-1, 1.5.4-1", "35", "an encoded surrogate is not UTF-8", "", func(s *stand) {
		s.fatal(s.raw().publication(0x30, "st/\xed\xa0\x80", 0, nil), 0x81)
	}},
	{"1.5.3-2, 1.5.4-2", "35", "a string with U+0000 ends the connection", "", func(s *stand) {
		s.fatal(s.raw().publication(0x30, "st/\x00", 0, nil), 0x81)
	}},
	{"1.5.3-3, 1.5.4-3", "35", "U+FEFF is kept where it stands", "topics with characters that nobody sees are refused", func(s *stand) {
		r := s.client(0)
		r.subscribe("st/\ufeffx", 0)
		r.publish("st/\ufeffx", 0, 0, []byte("x"))
		r.payload(1)
	}},
	{"1.5.5-1", "35", "a length of five bytes is malformed", "", func(s *stand) {
		s.fatal([]byte{0x30, 0x80, 0x80, 0x80, 0x80, 0x01})
	}},
	{"2.2.2-2, 2.1.3-1", "35", "reserved flags of a header must be as they are listed", "", func(s *stand) {
		s.fatal([]byte{0xc1, 0}, 0x81)
	}},
	{"2.2.2-2, 3.6.1-1", "35", "a PUBREL has the flags 0010", "", func(s *stand) {
		s.fatal([]byte{0x60, 2, 0, 1}, 0x81)
	}},
	{"2.2.1-2", "35", "packet type 0 is forbidden", "", func(s *stand) { s.fatal([]byte{0x00, 0}) }},
	{"2.3.1-1, 2.2.1-3", "35", "a SUBSCRIBE has a packet identifier other than 0", "", func(s *stand) {
		s.fatal(framed(0x82, bytes.Join([][]byte{{0, 0}, s.properties5(), text("st/x"), {0}}, nil)...))
	}},
	{"2.3.1-1, 2.2.1-3", "35", "a PUBLISH of QoS 1 has a packet identifier other than 0", "", func(s *stand) {
		s.fatal(s.raw().publication(0x32, "st/x", 0, nil))
	}},
	{"2.3.1-1, 2.2.1-3", "35", "an UNSUBSCRIBE has a packet identifier other than 0", "", func(s *stand) {
		s.fatal(framed(0xa2, bytes.Join([][]byte{{0, 0}, s.properties5(), text("st/x")}, nil)...))
	}},
	{"2.3.1-6, 2.2.1-5", "35", "a PUBACK has the identifier of the PUBLISH", "", func(s *stand) {
		r := s.client(0)
		r.publish("st/x", 1, 513, nil)
		if body := r.expect("PUBACK", 0x40); !bytes.Equal(body[:2], idBytes(513)) {
			s.Errorf("%x", body)
		}
	}},
	{"2.3.1-7, 2.2.1-6", "35", "SUBACK and UNSUBACK have the identifier of what they answer", "", func(s *stand) {
		r := s.client(0)
		r.send(r.subscribes("st/x", 0))
		if body := r.expect("SUBACK", 0x90); !bytes.Equal(body[:2], idBytes(5)) {
			s.Errorf("%x", body)
		}
		r.send(framed(0xa2, bytes.Join([][]byte{idBytes(6), s.properties5(), text("st/x")}, nil)...))
		if body := r.expect("UNSUBACK", 0xb0); !bytes.Equal(body[:2], idBytes(6)) {
			s.Errorf("%x", body)
		}
	}},

	// CONNECT.
	{"3.1.0-1", "35", "the first packet is a CONNECT", "", func(s *stand) { s.refused(framed(0xc0)) }},
	{"3.1.0-2", "35", "a second CONNECT is a protocol error", "", func(s *stand) {
		s.fatal(connecting{id: s.ids[0]}.encode(s.version), 0x82)
	}},
	{"3.1.2-1", "35", "another protocol name is not served", "", func(s *stand) {
		s.refused(connecting{id: s.ids[0], protocol: "MQTX"}.encode(s.version))
	}},
	{"3.1.2-2", "3", "a level that is not supported is answered with 0x01", "", func(s *stand) {
		r := s.socket(0)
		r.send(connecting{id: s.ids[0], version: 7}.encode(4))
		if body := r.expect("CONNACK", 0x20); body[1] != 1 && body[1] != 0x84 {
			s.Errorf("CONNACK %x", body)
		}
		r.ended("CONNACK 1")
	}},
	{"3.1.2-3", "35", "the reserved flag of CONNECT is 0", "", func(s *stand) { s.refused(s.withFlags(0x03)) }},
	{"3.1.2-11", "35", "without a Will its QoS is 0", "", func(s *stand) { s.refused(s.withFlags(0x0a)) }},
	{"3.1.2-15, 3.1.2-13", "35", "without a Will its retain flag is 0", "", func(s *stand) { s.refused(s.withFlags(0x22)) }},
	{"3.1.2-14, 3.1.2-12", "35", "a Will has no QoS 3", "", func(s *stand) {
		s.refused(connecting{id: s.ids[0], willTopic: "st/w", willQos: 3}.encode(s.version))
	}},
	{"3.1.2-22", "3", "without a user name there is no password", "", func(s *stand) { s.refused(s.withFlags(0x42, 0, 1, 'p')) }},
	{"3.1.2-17", "35", "a user name that the flags announce is there", "", func(s *stand) { s.refused(s.withFlags(0x82)) }},
	{"3.1.2-19", "35", "a password that the flags announce is there", "", func(s *stand) { s.refused(s.withFlags(0xc2, 0, 1, 'u')) }},
	{"3.1.4-1", "35", "a CONNECT with bytes behind its end is not served", "", func(s *stand) {
		data := connecting{id: s.ids[0]}.encode(s.version)
		s.refused(framed(0x10, append(data[2:], 1, 2, 3)...))
	}},
	{"3.1.4-1", "35", "a CONNECT that ends early is not served", "", func(s *stand) {
		data := connecting{id: s.ids[0]}.encode(s.version)
		s.refused(framed(0x10, data[2:len(data)-1]...))
	}},
	{"3.1.3-4", "35", "a client identifier that is not UTF-8 is not served", "", func(s *stand) {
		s.refused(connecting{id: "\xff\xfe"}.encode(s.version))
	}},
	{"3.1.3-8", "3", "an empty client identifier with a session to keep is answered with 0x02", "", func(s *stand) {
		r := s.socket(0)
		if code := r.connect(connecting{id: "", keepSession: true}); code != 2 {
			s.Errorf("CONNACK %#x", code)
		}
		r.ended("CONNACK 2")
	}},
	{"3.1.2-24, 3.1.2-22", "35", "after one and a half times the keep-alive the connection ends", "", func(s *stand) {
		r := s.with(0, connecting{keepAlive: 1})
		r.SetReadDeadline(time.Now().Add(4 * s.patience))
		r.ended("1.5 s of silence")
	}},
	{"3.1.2.10", "35", "keep-alive 0 turns it off", "", func(s *stand) {
		s.with(0, connecting{noKeepAlive: true}).alive()
	}},
	{"3.1.4-2, 3.1.4-3", "35", "a second connection with a client identifier ends the first", "", func(s *stand) {
		first := s.client(0)
		s.client(0).alive()
		first.ended("it was taken over")
	}},
	{"3.1.4-3", "5", "the first is told 0x8E", "", func(s *stand) {
		first := s.client(0)
		s.client(0)
		if body := first.expect("DISCONNECT", 0xe0); body[0] != 0x8e {
			s.Errorf("%x", body)
		}
	}},
	{"3.1.4-5", "35", "packets that come with a CONNECT are served", "", func(s *stand) {
		r := s.socket(0)
		r.send(bytes.Join([][]byte{connecting{id: s.ids[0]}.encode(s.version), r.subscribes("st/x", 1), r.publication(0x32, "st/x", 3, []byte("x"))}, nil))
		r.expect("CONNACK", 0x20)
		r.expect("SUBACK", 0x90)
		for seen := 0; seen != 3; {
			switch first, _, err := r.next(); {
			case err != nil:
				s.Fatal(err)
			case first>>4 == 3:
				seen |= 1
			case first == 0x40:
				seen |= 2
			}
		}
	}},
	{"3.1.4-6", "35", "packets that come with a CONNECT that is refused are not served", "", func(s *stand) {
		r := s.socket(0)
		r.send(append(s.withFlags(0x03), framed(0xc0)...))
		for {
			first, _, err := r.next()
			if err != nil {
				r.mustEnd(err)
				return
			}
			if first == 0xd0 {
				s.Fatal("a PINGREQ was answered")
			}
		}
	}},

	// CONNECT of version 5.
	{"2.2.2.2", "5", "a property twice is a protocol error", "", func(s *stand) {
		s.refused(connecting{id: s.ids[0], properties: []byte{0x21, 0, 9, 0x21, 0, 9}}.encode(5))
	}},
	{"2.2.2.2", "5", "a property that has no place in a packet is malformed", "", func(s *stand) {
		s.refused(connecting{id: s.ids[0], properties: []byte{0x01, 1}}.encode(5))
	}},
	{"3.1.2.11.3", "5", "Receive Maximum 0 is a protocol error", "", func(s *stand) {
		s.refused(connecting{id: s.ids[0], properties: []byte{0x21, 0, 0}}.encode(5))
	}},
	{"3.1.2.11.4", "5", "Maximum Packet Size 0 is a protocol error", "", func(s *stand) {
		s.refused(connecting{id: s.ids[0], properties: []byte{0x27, 0, 0, 0, 0}}.encode(5))
	}},
	{"3.1.2.11.6", "5", "Request Response Information is 0 or 1", "", func(s *stand) {
		s.refused(connecting{id: s.ids[0], properties: []byte{0x19, 2}}.encode(5))
	}},
	{"3.1.2.11.7", "5", "Request Problem Information is 0 or 1", "", func(s *stand) {
		s.refused(connecting{id: s.ids[0], properties: []byte{0x17, 2}}.encode(5))
	}},
	{"3.1.2.11.10", "5", "authentication data without a method is a protocol error", "", func(s *stand) {
		s.refused(connecting{id: s.ids[0], properties: []byte{0x16, 0, 1, 'x'}}.encode(5))
	}},
	{"4.12.0-1", "5", "an authentication method that is not offered is refused", "", func(s *stand) {
		s.refused(connecting{id: s.ids[0], properties: append([]byte{0x15}, text("NONE")...)}.encode(5))
	}},
	{"3.2.2-13", "5", "a Will to be retained is refused with 0x9A where nothing is", "", func(s *stand) {
		r := s.socket(0)
		r.send(connecting{id: s.ids[0], willTopic: "st/w", willRetain: true}.encode(5))
		body := r.expect("CONNACK", 0x20)
		if offered := !bytes.Contains(body, []byte{0x25, 0}); body[1] != 0x9a && !(offered && body[1] == 0) {
			s.Errorf("CONNACK %x", body)
		}
	}},
	{"3.1.2-21", "5", "a client is told a Server Keep Alive that is not its own", "", func(s *stand) {
		r := s.socket(0)
		r.send(connecting{id: s.ids[0], keepAlive: 65535}.encode(5))
		if body := r.expect("CONNACK", 0x20); body[1] != 0 {
			s.Errorf("CONNACK %x", body)
		}
		r.alive()
	}},

	// CONNACK.
	{"3.2.0-1", "35", "the CONNACK comes before everything else", "", func(s *stand) {
		pub := s.client(1)
		for range 5 {
			r := s.socket(0)
			r.send(append(connecting{id: s.ids[0]}.encode(s.version), r.subscribes("st/flood", 0)...))
			for range 20 {
				pub.publish("st/flood", 0, 0, []byte("x"))
			}
			r.expect("CONNACK", 0x20)
		}
	}},
	{"3.2.0-2", "35", "there is one CONNACK", "", func(s *stand) { s.client(0).nothing("after CONNACK") }},
	{"3.2.2-1, 3.2.2-2", "35", "a clean session is not present", "", func(s *stand) {
		r := s.socket(0)
		r.send(connecting{id: s.ids[0]}.encode(s.version))
		if body := r.expect("CONNACK", 0x20); body[0] != 0 || body[1] != 0 {
			s.Errorf("%x", body)
		}
	}},
	{"3.2.2-2, 3.2.2-3", "35", "a session that was kept is present", "", func(s *stand) {
		keep := connecting{id: s.ids[0], keepSession: true}
		if s.version == 5 {
			keep.properties = []byte{0x11, 0, 0, 1, 0}
		}
		first := s.with(0, keep)
		first.subscribe("st/kept", 1)
		first.send(framed(0xe0))
		first.ended("DISCONNECT")
		r := s.socket(0)
		r.send(keep.encode(s.version))
		if body := r.expect("CONNACK", 0x20); body[0] != 1 || body[1] != 0 {
			s.Errorf("%x", body)
		}
		pub := s.client(1)
		pub.publish("st/kept", 1, 1, []byte("x"))
		pub.expect("PUBACK", 0x40)
		r.payload(1)
	}},
	{"3.1.2-5, 3.1.2.11.2", "35", "a session keeps messages of QoS 1 and 2 while its client is away", "", func(s *stand) {
		keep := connecting{keepSession: true}
		if s.version == 5 {
			keep.properties = []byte{0x11, 0, 0, 1, 0}
		}
		first := s.with(0, keep)
		first.subscribe("st/kept", 2)
		first.send(framed(0xe0))
		first.ended("DISCONNECT")
		pub := s.client(1)
		pub.sends("st/kept", 1, 1, "a")
		pub.sends("st/kept", 2, 2, "b")
		s.with(0, keep).expectDeliveries("st/kept", "a", "b")
	}},
	{"4.4.0-1", "35", "what was not acknowledged is sent again with its identifier and DUP", "", func(s *stand) {
		keep := connecting{keepSession: true}
		if s.version == 5 {
			keep.properties = []byte{0x11, 0, 0, 1, 0}
		}
		first := s.with(0, keep)
		first.subscribe("st/kept", 1)
		s.client(1).sends("st/kept", 1, 1, "a")
		id, _ := first.delivered("st/kept")
		first.Close()
		if kind, body, err := s.with(0, keep).next(); err != nil || kind != 0x3a || !bytes.Equal(body[9:11], idBytes(id)) {
			s.Errorf("packet %#x %x, %v, want id %d", kind, body, err, id)
		}
	}},

	// The Will.
	{"3.1.2-8", "35", "the Will is published when the connection breaks", "", func(s *stand) {
		s.willComes(func(r *raw) { r.Close() })
	}},
	{"3.1.2-8", "35", "the Will is published after a malformed packet", "", func(s *stand) {
		s.willComes(func(r *raw) { r.send(framed(0x82, 0)) })
	}},
	{"3.1.2-8", "35", "the Will is published when the keep-alive runs out", "", func(s *stand) {
		sub := s.client(0)
		sub.subscribe("st/will", 0)
		s.with(1, connecting{willTopic: "st/will", keepAlive: 1})
		sub.SetReadDeadline(time.Now().Add(4 * s.patience))
		sub.payload(4)
	}},
	{"3.1.2-8, 3.1.4-3", "35", "the Will is published when the connection is taken over", "", func(s *stand) {
		s.willComes(func(*raw) { s.client(1) })
	}},
	{"3.1.2-10, 3.14.4-3", "35", "the Will is not published after a DISCONNECT", "", func(s *stand) {
		if got := s.will(func(r *raw) { r.send(framed(0xe0)) }, true); got != "mark" {
			s.Errorf("heard %q", got)
		}
	}},
	{"3.14.4-3", "5", "the Will is published after DISCONNECT 0x04", "", func(s *stand) {
		s.willComes(func(r *raw) { r.send(framed(0xe0, 4, 0)) })
	}},
	{"3.14.2.2.1", "5", "DISCONNECT 0x04 may leave out the length of properties", "", func(s *stand) {
		s.willComes(func(r *raw) { r.send(framed(0xe0, 4)) })
	}},
	{"3.14.4-3", "5", "the Will is published after DISCONNECT 0x80 and above", "", func(s *stand) {
		s.willComes(func(r *raw) { r.send(framed(0xe0, 0x81)) })
	}},
	{"3.1.3.2", "5", "a Will passes its properties on", "", func(s *stand) {
		sub := s.client(0)
		sub.subscribe("st/will", 0)
		r := s.socket(1)
		properties := append([]byte{0x08}, text("st/reply")...)
		body := bytes.Join([][]byte{text("MQTT"), {5, 0x06, 0, 30, 0}, text(s.ids[1]), {byte(len(properties))}, properties, text("st/will"), text("gone")}, nil)
		r.send(framed(0x10, body...))
		if body := r.expect("CONNACK", 0x20); body[1] != 0 {
			s.Fatalf("CONNACK %x", body)
		}
		r.Close()
		if body := sub.expect("the Will", 0x30); !bytes.Contains(body, text("st/reply")) {
			s.Errorf("%x", body)
		}
	}},

	// PUBLISH.
	{"3.3.1-2", "35", "a PUBLISH of QoS 0 has no DUP flag", "", func(s *stand) { s.fatal(s.raw().publication(0x38, "st/x", 0, nil), 0x81, 0x82) }},
	{"3.3.1-4", "35", "a PUBLISH has no QoS 3", "", func(s *stand) {
		s.fatal(s.raw().publication(0x36, "st/x", 1, nil), 0x81, 0x82)
	}},
	{"3.3.1-3", "35", "the DUP flag is not passed on", "", func(s *stand) {
		r := s.client(0)
		r.subscribe("st/x", 1)
		r.send(r.publication(0x3a, "st/x", 9, []byte("x")))
		for {
			first, _, err := r.next()
			if err != nil {
				s.Fatal(err)
			}
			if first>>4 == 3 {
				if first&8 != 0 {
					s.Errorf("packet %#x", first)
				}
				return
			}
		}
	}},
	{"3.3.1-9, 3.3.1-12", "35", "a subscriber that was there sees no retain flag", "", func(s *stand) {
		r := s.client(0)
		r.subscribe("st/x", 0)
		r.send(r.publication(0x31, "st/x", 0, []byte("x")))
		if first, _ := r.payload(1); first != 0x30 {
			s.Errorf("packet %#x", first)
		}
	}},
	{"3.3.1-5, 3.3.1-6", "35", "a retained message is kept for who subscribes later", "retained messages are not offered", func(s *stand) {
		pub := s.client(1)
		pub.send(pub.publication(0x33, "st/r", 1, []byte("x")))
		pub.expect("PUBACK", 0x40)
		r := s.client(0)
		r.subscribe("st/r", 0)
		r.payload(1)
	}},
	{"3.3.2-2", "35", "the topic of a PUBLISH has no wildcards", "", func(s *stand) {
		s.fatal(s.raw().publication(0x30, "st/+", 0, nil), 0x81, 0x82, 0x90)
	}},
	{"4.7.3-1", "35", "the topic of a PUBLISH is not empty", "", func(s *stand) {
		s.fatal(s.raw().publication(0x30, "", 0, nil), 0x81, 0x82)
	}},
	{"3.3.2-3", "35", "the topic of a PUBLISH matches the filter", "", func(s *stand) {
		if s.echoes("st/a", "st/b") {
			s.Error("it was delivered")
		}
	}},
	{"3.3.5-1", "35", "of overlapping subscriptions the best QoS counts", "", func(s *stand) {
		r := s.client(0)
		r.subscribe("st/#", 0)
		r.subscribe("st/x", 2)
		s.client(1).sends("st/x", 2, 1, "x")
		if first, _ := r.payload(1); first&6 != 4 {
			s.Errorf("packet %#x", first)
		}
	}},
	{"3.3.2-9", "5", "a topic alias above the maximum is an error", "", func(s *stand) {
		r := s.socket(0)
		r.send(connecting{id: s.ids[0]}.encode(5))
		body := r.expect("CONNACK", 0x20)
		alias := byte(1)
		if i := bytes.IndexByte(body, 0x22); i > 0 && i+2 < len(body) {
			alias = body[i+2] + 1
		}
		r.send(r.publication(0x30, "st/x", 0, nil, 0x23, 0, alias))
		if body := r.expect("DISCONNECT", 0xe0); body[0] != 0x94 {
			s.Errorf("%x", body)
		}
	}},
	{"3.3.2-8", "5", "a topic alias is not 0", "", func(s *stand) {
		s.fatal(s.raw().publication(0x30, "st/x", 0, nil, 0x23, 0, 0), 0x94, 0x82, 0x81)
	}},
	{"3.3.4-6", "5", "a client's PUBLISH has no subscription identifier", "", func(s *stand) {
		s.fatal(s.raw().publication(0x30, "st/x", 0, nil, 0x0b, 1), 0x82, 0x81)
	}},
	{"3.3.2-14", "5", "a response topic has no wildcards", "", func(s *stand) {
		s.fatal(s.raw().publication(0x30, "st/x", 0, nil, append([]byte{0x08}, text("st/+")...)...), 0x81, 0x82, 0x90)
	}},
	{"2.2.2.2", "5", "a property twice in a PUBLISH is a protocol error", "", func(s *stand) {
		s.fatal(s.raw().publication(0x30, "st/x", 0, nil, 0x01, 1, 0x01, 1), 0x82, 0x81)
	}},
	{"3.3.2.3.2", "5", "the payload format indicator is 0 or 1", "", func(s *stand) {
		s.fatal(s.raw().publication(0x30, "st/x", 0, nil, 0x01, 2))
	}},
	{"3.3.2-4 to -20", "5", "properties of a message reach its subscribers, user properties in order", "", func(s *stand) {
		r := s.client(0)
		r.subscribe("st/x", 0)
		properties := bytes.Join([][]byte{
			{0x01, 1}, {0x03}, text("text/plain"), {0x08}, text("st/reply"), {0x09}, text("id"),
			{0x26}, text("k"), text("1"), {0x26}, text("k"), text("2"),
		}, nil)
		r.send(r.publication(0x30, "st/x", 0, []byte("x"), properties...))
		body := r.expect("PUBLISH", 0x30)
		for _, want := range [][]byte{{0x01, 1}, text("text/plain"), text("st/reply"), text("id")} {
			if !bytes.Contains(body, want) {
				s.Errorf("%q is missing", want)
			}
		}
		user := bytes.Join([][]byte{{0x26}, text("k"), text("1"), {0x26}, text("k"), text("2")}, nil)
		if !bytes.Contains(body, user) {
			s.Error("user properties are not as they were")
		}
	}},
	{"3.3.2-6", "5", "what is left of a message's expiry is passed on", "", func(s *stand) {
		r := s.client(0)
		r.subscribe("st/x", 0)
		r.send(r.publication(0x30, "st/x", 0, []byte("x"), 0x02, 0, 0, 0, 60))
		if body := r.expect("PUBLISH", 0x30); !bytes.Contains(body, []byte{0x02, 0, 0, 0, 60}) && !bytes.Contains(body, []byte{0x02, 0, 0, 0, 59}) {
			s.Errorf("%x", body)
		}
	}},
	{"3.3.4-7", "5", "no more messages are on their way than the client's Receive Maximum", "", func(s *stand) {
		r := s.with(0, connecting{properties: []byte{0x21, 0, 1}})
		r.subscribe("st/x", 1)
		pub := s.client(1)
		for i := range 3 {
			pub.publish("st/x", 1, uint16(i+1), []byte("x"))
			pub.expect("PUBACK", 0x40)
		}
		r.payload(1)
		r.nothing("one is on its way")
	}},
	{"3.1.2-24", "5", "no packet is larger than the client's Maximum Packet Size", "", func(s *stand) {
		r := s.with(0, connecting{properties: []byte{0x27, 0, 0, 0, 64}})
		r.subscribe("st/x", 0)
		pub := s.client(1)
		pub.publish("st/x", 1, 1, make([]byte, 200))
		pub.expect("PUBACK", 0x40)
		pub.publish("st/x", 1, 2, []byte("small"))
		pub.expect("PUBACK", 0x40)
		if _, got := r.payload(5); got != "small" {
			s.Errorf("%q", got)
		}
	}},
	{"3.1.2-24", "5", "a refusal fits the client's Maximum Packet Size", "", func(s *stand) {
		r := s.with(0, connecting{properties: []byte{0x27, 0, 0, 0, 20}})
		r.publish("$SYS/x", 1, 1, nil)
		if first, body, err := r.next(); err != nil || first != 0x40 || len(body) > 18 {
			s.Errorf("packet %#x %x, %v", first, body, err)
		}
		r.alive()
	}},
	{"3.3.4-9, 4.13.1-1", "5", "a packet above the server's Maximum Packet Size is answered with 0x95", "", func(s *stand) {
		r := s.socket(0)
		r.send(connecting{id: s.ids[0]}.encode(5))
		body := r.expect("CONNACK", 0x20)
		if i := bytes.IndexByte(body, 0x27); i < 0 {
			return // it has none
		}
		r.send([]byte{0x30, 0xff, 0xff, 0xff, 0x7f})
		if body := r.expect("DISCONNECT", 0xe0); body[0] != 0x95 {
			s.Errorf("%x", body)
		}
	}},
	{"4.8.0-1, 3.8.3-3", "5", "No Local withholds one's own messages", "", func(s *stand) {
		r := s.client(0)
		r.send(r.subscribes("st/x", 4))
		r.expect("SUBACK", 0x90)
		r.publish("st/x", 0, 0, []byte("x"))
		r.nothing("one's own")
		s.client(1).publish("st/x", 0, 0, []byte("y"))
		r.payload(1)
	}},
	{"3.3.4-3, 3.3.4-4", "5", "the identifiers of all matching subscriptions are passed on", "", func(s *stand) {
		r := s.client(0)
		r.send(r.subscribes("st/+", 0, 0x0b, 7))
		r.expect("SUBACK", 0x90)
		r.publish("st/x", 0, 0, []byte("x"))
		if body := r.expect("PUBLISH", 0x30); !bytes.Contains(body, []byte{0x0b, 7}) {
			s.Errorf("%x", body)
		}
	}},
	{"3.4.2.1", "5", "a message that nobody subscribed to is answered with 0x10", "", func(s *stand) {
		if code := s.client(1).sends("st/nobody", 1, 1, "x"); code != 0x10 {
			s.Errorf("%#x", code)
		}
	}},

	// Acknowledgements.
	{"4.3.2-2, 4.3.2-4", "35", "QoS 1 is acknowledged with PUBACK", "", func(s *stand) {
		r := s.client(0)
		r.publish("st/x", 1, 4, nil)
		r.expect("PUBACK", 0x40)
		r.nothing("one PUBACK")
	}},
	{"4.3.3-2, 4.3.3-8", "35", "QoS 2 is acknowledged with PUBREC and PUBCOMP", "", func(s *stand) {
		s.client(0).sends("st/x", 2, 4, "x")
	}},
	{"4.3.3-2, 4.3.3-10", "35", "a PUBLISH of QoS 2 that comes again is delivered once", "", func(s *stand) {
		r, sub := s.client(1), s.client(0)
		sub.subscribe("st/x", 0)
		for _, first := range []byte{0x34, 0x3c} {
			r.send(r.publication(first, "st/x", 4, []byte("x")))
			r.expect("PUBREC", 0x50)
		}
		r.send(framed(0x62, 0, 4))
		r.expect("PUBCOMP", 0x70)
		sub.payload(1)
		sub.nothing("once")
	}},
	{"4.3.3-12", "35", "after PUBREL the identifier is a new message's", "", func(s *stand) {
		r, sub := s.client(1), s.client(0)
		sub.subscribe("st/x", 0)
		r.sends("st/x", 2, 4, "1")
		r.sends("st/x", 2, 4, "2")
		sub.payload(1)
		sub.payload(1)
	}},
	{"4.3.3-11", "35", "a PUBREL of a message that is not known is answered with PUBCOMP", "", func(s *stand) {
		r := s.client(0)
		r.send(framed(0x62, 0, 99))
		if body := r.expect("PUBCOMP", 0x70); s.version == 5 && (len(body) < 3 || body[2] != 0x92) {
			s.Errorf("%x", body)
		}
	}},
	{"4.3.3-5", "35", "a PUBREC is answered with PUBREL", "", func(s *stand) {
		r := s.client(0)
		r.subscribe("st/x", 2)
		s.client(1).sends("st/x", 2, 1, "x")
		r.expectDeliveries("st/x", "x")
	}},
	{"4.3.3-4", "5", "a PUBREC of 0x80 and above ends the exchange", "", func(s *stand) {
		r := s.with(0, connecting{properties: []byte{0x21, 0, 1}})
		r.subscribe("st/x", 2)
		pub := s.client(1)
		pub.sends("st/x", 2, 1, "1")
		pub.sends("st/x", 2, 2, "2")
		id, _ := r.delivered("st/x")
		r.send(framed(0x50, byte(id>>8), byte(id), 0x83))
		r.delivered("st/x")
	}},
	{"4.6.0-2 to -4", "35", "acknowledgements come in the order of the messages", "", func(s *stand) {
		r := s.client(0)
		for id := range uint16(20) {
			r.publish("st/x", 1+byte(id%2), id+1, nil)
		}
		for id := range uint16(20) {
			_, body, err := r.next()
			if err != nil || !bytes.Equal(body[:2], idBytes(id+1)) {
				s.Fatalf("%x, %v", body, err)
			}
		}
	}},
	{"4.6.0-5, 4.6.0-6", "35", "messages of one topic come in the order they were sent", "", func(s *stand) {
		r, pub := s.client(0), s.client(1)
		r.subscribe("st/x", 1)
		for i := range 10 {
			pub.publish("st/x", 1, uint16(i+1), []byte{'0' + byte(i)})
			pub.expect("PUBACK", 0x40)
		}
		for i := range 10 {
			if _, got := r.payload(1); got != fmt.Sprint(i) {
				s.Fatalf("%s in place of %d", got, i)
			}
		}
	}},
	{"3.3.4, 4.9.0", "5", "as many messages of QoS 2 may be unreleased as the server says", "", func(s *stand) {
		r := s.socket(0)
		r.send(connecting{id: s.ids[0]}.encode(5))
		body, most := r.expect("CONNACK", 0x20), 65535
		if i := bytes.IndexByte(body, 0x21); i > 0 {
			most = int(body[i+1])<<8 | int(body[i+2])
		}
		for id := range min(most, 5000) {
			r.publish("st/x", 2, uint16(id+1), nil)
			r.SetReadDeadline(time.Now().Add(s.patience))
			r.expect("PUBREC", 0x50)
		}
		r.alive()
	}},

	// SUBSCRIBE and UNSUBSCRIBE.
	{"3.8.1-1", "35", "a SUBSCRIBE has the flags 0010", "", func(s *stand) {
		data := s.raw().subscribes("st/x", 0)
		data[0] = 0x80
		s.fatal(data, 0x81)
	}},
	{"3.8.3-3, 3.8.3-2", "35", "a SUBSCRIBE has a filter", "", func(s *stand) {
		s.fatal(framed(0x82, append([]byte{0, 1}, s.properties5()...)...), 0x82, 0x81)
	}},
	{"3.8.3-4, 3.8.3-5", "35", "reserved bits of a subscription are 0", "", func(s *stand) { s.fatal(s.raw().subscribes("st/x", 0x80), 0x81, 0x82) }},
	{"3.8.3-4", "35", "a subscription has no QoS 3", "", func(s *stand) { s.fatal(s.raw().subscribes("st/x", 3), 0x81, 0x82) }},
	{"3.8.3.1", "5", "retain handling is not 3", "", func(s *stand) { s.fatal(s.raw().subscribes("st/x", 0x30), 0x82, 0x81) }},
	{"3.8.2.1.2", "5", "a subscription identifier is not 0", "", func(s *stand) { s.fatal(s.raw().subscribes("st/x", 0, 0x0b, 0), 0x82, 0x81) }},
	{"3.8.2.1.2", "5", "a SUBSCRIBE has one subscription identifier", "", func(s *stand) {
		s.fatal(s.raw().subscribes("st/x", 0, 0x0b, 1, 0x0b, 2), 0x82, 0x81)
	}},
	{"3.8.3-4", "5", "a shared subscription with No Local is a protocol error", "", func(s *stand) { s.fatal(s.raw().subscribes("$share/g/st/x", 4), 0x82, 0x81) }},
	{"3.9.3", "5", "a shared subscription that is not offered is answered with 0x9E", "", func(s *stand) {
		r := s.client(0)
		r.send(r.subscribes("$share/g/st/x", 0))
		if ack := r.expect("SUBACK", 0x90); ack[len(ack)-1] != 0x9e && ack[len(ack)-1] != 0 {
			s.Errorf("%x", ack)
		}
	}},
	{"3.8.4-1, 3.8.4-5", "35", "a SUBACK has one code for each filter, in order", "", func(s *stand) {
		r := s.client(0)
		r.send(framed(0x82, bytes.Join([][]byte{{0, 1}, s.properties5(), text("st/a"), {0}, text("st/b"), {1}, text("st/c"), {2}}, nil)...))
		if ack := r.expect("SUBACK", 0x90); !bytes.HasSuffix(ack, []byte{0, 1, 2}) {
			s.Errorf("%x", ack)
		}
	}},
	{"3.8.4-3", "35", "a filter that was subscribed to is replaced", "", func(s *stand) {
		r := s.client(0)
		r.subscribe("st/x", 2)
		r.subscribe("st/x", 0)
		r.publish("st/x", 0, 0, []byte("x"))
		r.payload(1)
		r.nothing("one subscription")
	}},
	{"3.8.4-6, 3.8.4-8", "35", "a message has the lower of its QoS and the subscription's", "", func(s *stand) {
		r := s.client(0)
		r.subscribe("st/x", 1)
		s.client(1).sends("st/x", 2, 1, "x")
		if first, _ := r.payload(1); first != 0x32 {
			s.Errorf("packet %#x", first)
		}
	}},
	{"3.10.1-1", "35", "an UNSUBSCRIBE has the flags 0010", "", func(s *stand) {
		s.fatal(framed(0xa0, bytes.Join([][]byte{{0, 1}, s.properties5(), text("st/x")}, nil)...), 0x81)
	}},
	{"3.10.3-2", "35", "an UNSUBSCRIBE has a filter", "", func(s *stand) {
		s.fatal(framed(0xa2, append([]byte{0, 1}, s.properties5()...)...), 0x82, 0x81)
	}},
	{"3.10.4-1, 3.10.4-2", "35", "after an UNSUBSCRIBE nothing comes any more", "", func(s *stand) {
		r := s.client(0)
		r.subscribe("st/x", 0)
		r.send(framed(0xa2, bytes.Join([][]byte{{0, 1}, s.properties5(), text("st/x")}, nil)...))
		r.expect("UNSUBACK", 0xb0)
		r.publish("st/x", 0, 0, []byte("x"))
		r.nothing("unsubscribed")
	}},
	{"3.10.4-4, 3.10.4-5", "35", "an UNSUBSCRIBE of what was not subscribed to is answered", "", func(s *stand) {
		r := s.client(0)
		r.send(framed(0xa2, bytes.Join([][]byte{{0, 1}, s.properties5(), text("st/x")}, nil)...))
		if ack := r.expect("UNSUBACK", 0xb0); s.version == 5 && ack[len(ack)-1] != 0x11 {
			s.Errorf("%x", ack)
		}
	}},
	{"3.10.4-6", "35", "an UNSUBSCRIBE of two filters is answered once", "", func(s *stand) {
		r := s.client(0)
		r.send(framed(0xa2, bytes.Join([][]byte{{0, 1}, s.properties5(), text("st/x"), text("st/y")}, nil)...))
		r.expect("UNSUBACK", 0xb0)
		r.nothing("one UNSUBACK")
	}},

	// The rest.
	{"3.12.4-1", "35", "a PINGREQ is answered", "", func(s *stand) { s.client(0).alive() }},
	{"3.12", "35", "a PINGREQ has no body", "", func(s *stand) { s.fatal(framed(0xc0, 1)) }},
	{"3.14.1-1", "35", "reserved bits of DISCONNECT are 0", "", func(s *stand) { s.fatal([]byte{0xe1, 0}) }},
	{"3.14.4-1", "35", "after DISCONNECT the connection ends", "", func(s *stand) {
		r := s.client(0)
		r.send(framed(0xe0))
		r.ended("DISCONNECT")
	}},
	{"3.14.2-2", "5", "DISCONNECT cannot keep a session that was to end", "", func(s *stand) {
		s.fatal(framed(0xe0, 0, 5, 0x11, 0, 0, 0, 9), 0x82)
	}},
	{"3.14", "3", "a server of 3.1.1 sends no DISCONNECT", "", func(s *stand) {
		r := s.client(0)
		r.send(framed(0x82, 0))
		if first, _, err := r.next(); err == nil {
			s.Errorf("packet %#x", first)
		}
	}},
	{"4.13.1-1", "35", "a CONNACK from a client is a protocol error", "", func(s *stand) { s.fatal(framed(0x20, 0, 0)) }},
	{"4.13.1-1", "35", "a SUBACK from a client is a protocol error", "", func(s *stand) { s.fatal(framed(0x90, append([]byte{0, 1}, s.properties5()...)...)) }},
	{"4.13.1-1", "35", "a PINGRESP from a client is a protocol error", "", func(s *stand) { s.fatal(framed(0xd0)) }},
	{"3.15", "35", "an AUTH without a method is a protocol error", "", func(s *stand) { s.fatal(framed(0xf0, 0x18, 0)) }},
	{"3.4.2", "35", "a PUBACK without an identifier is malformed", "", func(s *stand) { s.fatal(framed(0x40, 0), 0x81) }},
	{"3.4.2.1", "5", "a PUBACK may have a reason code and no properties", "", func(s *stand) {
		r := s.client(0)
		r.subscribe("st/x", 1)
		s.client(1).sends("st/x", 1, 1, "x")
		id, _ := r.delivered("st/x")
		r.send(framed(0x40, byte(id>>8), byte(id), 0))
		r.alive()
	}},

	// Topics.
	{"4.7.1-2", "35", "# matches what is below a level", "", func(s *stand) {
		if !s.echoes("st/#", "st/a/b") {
			s.Error("it was not delivered")
		}
	}},
	{"4.7.1.2", "35", "# matches the level itself", "", func(s *stand) {
		if !s.echoes("st/a/#", "st/a") {
			s.Error("it was not delivered")
		}
	}},
	{"4.7.1-2", "35", "# stands at the end", "", func(s *stand) { s.invalid("st/#/x") }},
	{"4.7.1-2", "35", "# is a level of its own", "", func(s *stand) { s.invalid("st/x#") }},
	{"4.7.1-3", "35", "+ matches one level", "", func(s *stand) {
		if !s.echoes("st/+/x", "st/a/x") {
			s.Error("it was not delivered")
		}
	}},
	{"4.7.1-3", "35", "+ matches no two levels", "", func(s *stand) {
		if s.echoes("st/+", "st/a/x") {
			s.Error("it was delivered")
		}
	}},
	{"4.7.1-3", "35", "+ matches an empty level", "", func(s *stand) {
		if !s.echoes("st/+", "st/") {
			s.Error("it was not delivered")
		}
	}},
	{"4.7.1-3", "35", "+ is a level of its own", "", func(s *stand) { s.invalid("st/x+") }},
	{"4.7.2-1", "35", "a filter that begins with a wildcard matches no topic that begins with $", "", func(s *stand) {
		r := s.client(0)
		r.subscribe("#", 0)
		s.client(1).publish("$st/x", 0, 0, []byte("x"))
		r.nothing("a $ topic")
	}},
	{"4.7.3-1", "35", "a filter is not empty", "", func(s *stand) { s.invalid("") }},
	{"4.7.3-4", "35", "letter case matters in topics", "", func(s *stand) {
		if s.echoes("st/x", "ST/x") {
			s.Error("it was delivered")
		}
	}},
	{"4.7.3-4", "35", "a leading separator matters in topics", "", func(s *stand) {
		if s.echoes("/st", "st") {
			s.Error("it was delivered")
		}
	}},
	{"4.7.3", "35", "a topic may hold spaces", "", func(s *stand) {
		if !s.echoes("st/a b", "st/a b") {
			s.Error("it was not delivered")
		}
	}},
}

// invalid subscribes to what is no filter: a failure or the end has to follow.
func (s *stand) invalid(filter string) {
	r := s.client(0)
	r.send(r.subscribes(filter, 0))
	first, body, err := r.next()
	if err == nil && first == 0x90 && body[len(body)-1] < 0x80 {
		s.Errorf("SUBACK %x", body)
	}
}
