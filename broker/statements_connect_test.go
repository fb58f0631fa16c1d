package broker

import (
	"bytes"
	"time"
)

// connectStatements are about strings, headers, CONNECT and its Will. "3" is
// version 3.1.1.
var connectStatements = []statement{
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
}
