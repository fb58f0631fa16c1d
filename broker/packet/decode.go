package packet

import "strings"

// Versions of the protocol, as CONNECT says them.
const (
	Version3 = 4 // MQTT 3.1.1
	Version5 = 5
)

// Connection is a CONNECT.
type Connection struct {
	Protocol  string
	Version   byte
	Clean     bool // Clean Session, in version 5 Clean Start
	KeepAlive uint16
	ClientID  string
	Will      *Will
	Properties
}

// Will is what is to be published if its connection breaks.
type Will struct {
	Topic   string
	Payload []byte
	QoS     byte
	Retain  bool
	Properties
}

// Flags of a CONNECT.
const (
	connectReserved = 1 << iota
	connectClean
	connectWill
	_
	_
	connectWillRetain
	connectPassword
	connectUser
)

// DecodeConnect reads the body of a CONNECT. If the protocol is none that is
// known, only Protocol and Version are set.
func DecodeConnect(body []byte) (Connection, error) {
	r := reader{b: body}
	c := Connection{Protocol: r.text(), Version: r.u8()}
	if r.err != nil {
		return c, r.err
	}
	if c.Protocol != "MQTT" || c.Version != Version3 && c.Version != Version5 {
		return c, nil
	}
	flags := r.u8()
	willQoS := flags >> 3 & 3
	switch {
	case r.err != nil:
	case flags&connectReserved != 0: // [MQTT-3.1.2-3]
		r.fail(malformed("the reserved flag of CONNECT is set"))
	case willQoS == 3: // [MQTT-3.1.2-12]
		r.fail(malformed("the Will has QoS 3"))
	case flags&connectWill == 0 && (willQoS != 0 || flags&connectWillRetain != 0): // [MQTT-3.1.2-11, -13]
		r.fail(malformed("CONNECT has flags of a Will and no Will"))
	case c.Version == Version3 && flags&connectPassword != 0 && flags&connectUser == 0: // 3.1.1 [MQTT-3.1.2-22]
		r.fail(malformed("CONNECT has a password and no user name"))
	}
	c.Clean = flags&connectClean != 0
	c.KeepAlive = r.u16()
	if c.Version == Version5 {
		c.Properties = r.properties(inConnect)
	}
	c.ClientID = r.text()
	if flags&connectWill != 0 {
		c.Will = &Will{QoS: willQoS, Retain: flags&connectWillRetain != 0}
		if c.Version == Version5 {
			c.Will.Properties = r.properties(inWill)
		}
		c.Will.Topic, c.Will.Payload = r.text(), r.bytes()
	}
	if flags&connectUser != 0 {
		r.text()
	}
	if flags&connectPassword != 0 {
		r.bytes()
	}
	return c, r.end()
}

// Message is a PUBLISH.
type Message struct {
	Topic   string
	ID      uint16 // 0 at QoS 0
	Payload []byte // a part of the body
	Properties
}

// DecodePublish reads the body of a PUBLISH with header h.
func DecodePublish(h Header, version byte, body []byte) (Message, error) {
	r := reader{b: body}
	m := Message{Topic: r.text()}
	if h.QoS() > 0 {
		m.ID = r.id()
	}
	if version == Version5 {
		m.Properties = r.properties(inPublish)
	}
	m.Payload = r.b
	switch {
	case r.err != nil:
	case m.Alias: // none is offered [MQTT-3.3.2-9]
		r.fail(&Fault{AliasInvalid, "topic aliases are not offered"})
	case m.SubscriptionID != 0: // [MQTT-3.3.4-6]
		r.fail(protocolError("a client's PUBLISH has a subscription identifier"))
	case m.Topic == "": // [MQTT-4.7.3-1]
		r.fail(protocolError("the topic is empty"))
	case strings.ContainsAny(m.Topic, "+#"): // [MQTT-3.3.2-2]
		r.fail(&Fault{TopicInvalid, "the topic has wildcards"})
	}
	return m, r.err
}

// Ack is a PUBACK, PUBREC, PUBREL or PUBCOMP.
type Ack struct {
	ID   uint16
	Code Code
}

// DecodeAck reads the body of one.
func DecodeAck(version byte, body []byte) (Ack, error) {
	r := reader{b: body}
	a := Ack{ID: r.id()}
	if version == Version5 && r.err == nil && len(r.b) > 0 {
		a.Code = Code(r.u8())
		if len(r.b) > 0 {
			r.properties(inAck)
		}
	}
	return a, r.end()
}

// Filter is one subscription of a SUBSCRIBE. One that shares is left to whoever
// answers it.
type Filter struct {
	Filter  string
	QoS     byte
	NoLocal bool
}

// Subscription is a SUBSCRIBE.
type Subscription struct {
	ID         uint16
	Identifier int // 0 if none
	Filters    []Filter
}

// DecodeSubscribe reads the body of a SUBSCRIBE.
func DecodeSubscribe(version byte, body []byte) (Subscription, error) {
	r := reader{b: body}
	s := Subscription{ID: r.id()}
	if version == Version5 {
		s.Identifier = r.properties(inSubscribe).SubscriptionID
	}
	for r.err == nil && len(r.b) > 0 {
		f := Filter{Filter: r.text()}
		options := r.u8()
		f.QoS, f.NoLocal = options&3, options&4 != 0
		switch {
		case r.err != nil:
		case f.QoS == 3, version == Version3 && options > 2, options&0xc0 != 0: // [MQTT-3.8.3-5]
			r.fail(malformed("a SUBSCRIBE has options %#02x", options))
		case options&0x30 == 0x30:
			r.fail(protocolError("retain handling is 3"))
		case f.NoLocal && strings.HasPrefix(f.Filter, "$share/"): // [MQTT-3.8.3-4]
			r.fail(protocolError("a shared subscription has No Local"))
		}
		s.Filters = append(s.Filters, f)
	}
	if r.err == nil && len(s.Filters) == 0 { // [MQTT-3.8.3-2]
		r.fail(protocolError("a SUBSCRIBE has no filter"))
	}
	return s, r.err
}

// DecodeUnsubscribe reads the body of an UNSUBSCRIBE.
func DecodeUnsubscribe(version byte, body []byte) (id uint16, filters []string, err error) {
	r := reader{b: body}
	id = r.id()
	if version == Version5 {
		r.properties(inUnsubscribe)
	}
	for r.err == nil && len(r.b) > 0 {
		filters = append(filters, r.text())
	}
	if r.err == nil && len(filters) == 0 { // [MQTT-3.10.3-2]
		r.fail(protocolError("an UNSUBSCRIBE has no filter"))
	}
	return id, filters, r.err
}

// Goodbye is a DISCONNECT.
type Goodbye struct {
	Code Code
	Properties
}

// DecodeDisconnect reads the body of a DISCONNECT. A reason code may stand
// without a property length (section 3.14.2.2.1).
func DecodeDisconnect(version byte, body []byte) (Goodbye, error) {
	r := reader{b: body}
	var g Goodbye
	if version == Version5 && len(r.b) > 0 {
		g.Code = Code(r.u8())
		if len(r.b) > 0 {
			g.Properties = r.properties(inDisconnect)
		}
	}
	return g, r.end()
}
