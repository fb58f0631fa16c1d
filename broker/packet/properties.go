package packet

import "strings"

// Identifiers of properties (section 2.2.2.2).
const (
	payloadFormat       = 0x01
	messageExpiry       = 0x02
	contentType         = 0x03
	responseTopic       = 0x08
	correlationData     = 0x09
	subscriptionID      = 0x0b
	sessionExpiry       = 0x11
	serverKeepAlive     = 0x13
	authMethod          = 0x15
	authData            = 0x16
	requestProblemInfo  = 0x17
	willDelay           = 0x18
	requestResponseInfo = 0x19
	reasonString        = 0x1f
	receiveMaximum      = 0x21
	topicAliasMaximum   = 0x22
	topicAlias          = 0x23
	retainAvailable     = 0x25
	userProperty        = 0x26
	maximumPacketSize   = 0x27
	sharedAvailable     = 0x2a
)

// The properties that a client may send, by what it sends them in.
const (
	inConnect     = "\x11\x15\x16\x17\x19\x21\x22\x26\x27"
	inWill        = "\x01\x02\x03\x08\x09\x18\x26"
	inPublish     = "\x01\x02\x03\x08\x09\x0b\x23\x26"
	inSubscribe   = "\x0b\x26"
	inUnsubscribe = "\x26"
	inAck         = "\x1f\x26"
	inDisconnect  = "\x11\x1f\x26"
)

// NoExpiry is a SessionExpiry that never comes.
const NoExpiry = 1<<32 - 1

// Properties are what a client's packet says beside its fields.
type Properties struct {
	SessionExpiry     uint32 // seconds; NoExpiry is for ever
	HasSessionExpiry  bool
	ReceiveMaximum    uint16 // 0 if not said
	MaximumPacketSize uint32 // bytes, 0 if not said
	// QuietProblems is set by a client that wants reason strings nowhere but in
	// CONNACK and DISCONNECT.
	QuietProblems  bool
	HasAuthMethod  bool
	Alias          bool   // a topic alias was given
	SubscriptionID int    // 0 if not said
	Expiry         uint32 // of the message, seconds; 0 if not said
	// Passed are the properties that reach a message's subscribers unchanged,
	// encoded and in order [MQTT-3.3.2-4, -15, -16, -17, -18, -20].
	Passed []byte
}

// properties reads a property section, of which allowed may stand in it. Section
// 2.2.2.2: one that may not is malformed; one that stands there twice, or has a
// value that it must not have, is a protocol error.
func (r *reader) properties(allowed string) (p Properties) {
	s := reader{b: r.take(r.varint()), err: r.err}
	seen, hasAuthData := uint64(0), false
	for s.err == nil && len(s.b) > 0 {
		rest := s.b
		id := s.varint()
		if s.err == nil && (id >= 64 || strings.IndexByte(allowed, byte(id)) < 0) {
			s.fail(malformed("property %#02x has no place here", id))
			break
		}
		if seen&(1<<id) != 0 && id != userProperty && s.err == nil {
			s.fail(protocolError("property %#02x is there twice", id))
			break
		}
		seen |= 1 << id
		switch id {
		case payloadFormat:
			s.flag(id)
		case messageExpiry:
			p.Expiry = s.u32()
		case contentType, reasonString:
			s.text()
		case responseTopic:
			if topic := s.text(); s.err == nil && (topic == "" || strings.ContainsAny(topic, "+#")) {
				s.fail(protocolError("the response topic is empty or has wildcards"))
			}
		case correlationData:
			s.bytes()
		case authData:
			s.bytes()
			hasAuthData = true
		case authMethod:
			s.text()
			p.HasAuthMethod = true
		case subscriptionID:
			p.SubscriptionID = s.varint()
			s.nonzero(id, uint32(p.SubscriptionID))
		case sessionExpiry:
			p.SessionExpiry, p.HasSessionExpiry = s.u32(), true
		case willDelay:
			s.u32()
		case requestProblemInfo:
			p.QuietProblems = !s.flag(id)
		case requestResponseInfo:
			s.flag(id)
		case receiveMaximum:
			p.ReceiveMaximum = s.u16()
			s.nonzero(id, uint32(p.ReceiveMaximum))
		case topicAliasMaximum:
			s.u16()
		case topicAlias:
			s.u16()
			p.Alias = true
		case maximumPacketSize:
			p.MaximumPacketSize = s.u32()
			s.nonzero(id, p.MaximumPacketSize)
		case userProperty:
			s.text()
			s.text()
		}
		switch id {
		case payloadFormat, contentType, responseTopic, correlationData, userProperty:
			if s.err == nil {
				p.Passed = append(p.Passed, rest[:len(rest)-len(s.b)]...)
			}
		}
	}
	if s.err == nil && hasAuthData && !p.HasAuthMethod {
		s.fail(protocolError("authentication data without a method"))
	}
	if s.err != nil {
		r.fail(s.err)
	}
	return p
}

// flag is a byte that is 0 or 1.
func (r *reader) flag(id int) bool {
	v := r.u8()
	if r.err == nil && v > 1 {
		r.fail(protocolError("property %#02x is %d, expected 0 or 1", id, v))
	}
	return v == 1
}

func (r *reader) nonzero(id int, v uint32) {
	if r.err == nil && v == 0 {
		r.fail(protocolError("property %#02x is 0", id))
	}
}
