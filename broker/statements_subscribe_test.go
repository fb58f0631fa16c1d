package broker

import (
	"bytes"
)

// subscribeStatements are about SUBSCRIBE, UNSUBSCRIBE, topics and the rest.
var subscribeStatements = []statement{
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
