package broker

import (
	"bytes"
	"fmt"
	"time"
)

// publishStatements are about PUBLISH and its acknowledgements.
var publishStatements = []statement{
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
}
