package packet

import "encoding/binary"

// AppendLength appends a variable byte integer.
func AppendLength(b []byte, n int) []byte {
	for ; n >= 0x80; n >>= 7 {
		b = append(b, byte(n)|0x80)
	}
	return append(b, byte(n))
}

func appendText(b []byte, s string) []byte {
	return append(binary.BigEndian.AppendUint16(b, uint16(len(s))), s...)
}

func appendPacket(b []byte, first byte, body []byte) []byte {
	return append(AppendLength(append(b, first), len(body)), body...)
}

// Answer is a CONNACK that accepts.
type Answer struct {
	SessionPresent bool
	// The rest is version 5's.
	ReceiveMaximum    uint16
	MaximumPacketSize uint32
	ServerKeepAlive   uint16 // seconds; 0 leaves the client its own
	SessionEnds       bool   // although the client asked to have it kept
}

// AppendConnack appends a.
func AppendConnack(b []byte, version byte, a Answer) []byte {
	body := []byte{0, 0}
	if a.SessionPresent {
		body[0] = 1
	}
	if version == Version5 {
		p := binary.BigEndian.AppendUint16([]byte{receiveMaximum}, a.ReceiveMaximum)
		p = binary.BigEndian.AppendUint32(append(p, maximumPacketSize), a.MaximumPacketSize)
		p = append(p, retainAvailable, 0, sharedAvailable, 0)
		if a.ServerKeepAlive > 0 {
			p = binary.BigEndian.AppendUint16(append(p, serverKeepAlive), a.ServerKeepAlive)
		}
		if a.SessionEnds {
			p = append(p, sessionExpiry, 0, 0, 0, 0)
		}
		body = append(AppendLength(body, len(p)), p...)
	}
	return appendPacket(b, byte(Connack)<<4, body)
}

// AppendRefusal appends a CONNACK that refuses: code is of that version. A
// reason is for version 5, and left out if the packet would be larger than
// limit; limit 0 is none.
func AppendRefusal(b []byte, version, code byte, reason string, limit uint32) []byte {
	if version != Version5 {
		return appendPacket(b, byte(Connack)<<4, []byte{0, code})
	}
	return appendPacket(b, byte(Connack)<<4, withReason([]byte{0, code}, reason, limit))
}

// AppendDisconnect appends the DISCONNECT of a server, which only version 5 has.
func AppendDisconnect(b []byte, code Code, reason string, limit uint32) []byte {
	return appendPacket(b, byte(Disconnect)<<4, withReason([]byte{byte(code)}, reason, limit))
}

// withReason appends properties of a reason string to body, or none.
func withReason(body []byte, reason string, limit uint32) []byte {
	p := appendText([]byte{reasonString}, reason)
	if whole := len(body) + len(p) + 8; reason == "" || limit > 0 && whole > int(limit) {
		p = nil
	}
	return append(AppendLength(body, len(p)), p...)
}

// AppendAck appends a PUBACK, PUBREC, PUBREL or PUBCOMP. Only version 5 is told
// the code.
func AppendAck(b []byte, t Type, version byte, id uint16, code Code) []byte {
	b = append(b, byte(t)<<4|flagsOf(t))
	if version == Version5 && code != Success {
		return append(binary.BigEndian.AppendUint16(append(b, 3), id), byte(code))
	}
	return binary.BigEndian.AppendUint16(append(b, 2), id)
}

// AppendSuback appends a SUBACK or, in version 5, an UNSUBACK with codes.
func AppendSuback(b []byte, t Type, version byte, id uint16, codes []byte) []byte {
	body := binary.BigEndian.AppendUint16(nil, id)
	if version == Version5 {
		body = append(body, 0)
	}
	if t == Suback || version == Version5 {
		body = append(body, codes...)
	}
	return appendPacket(b, byte(t)<<4, body)
}

// AppendPingresp appends a PINGRESP.
func AppendPingresp(b []byte) []byte { return append(b, byte(Pingresp)<<4, 0) }

// Delivery is a PUBLISH to a client.
type Delivery struct {
	Topic       string
	ID          uint16 // not at QoS 0
	QoS         byte
	Dup         bool
	Expiry      uint32 // seconds; 0 is none
	Passed      []byte // Properties.Passed
	Identifiers []int  // of subscriptions
	Payload     []byte
}

// AppendPublish appends d up to its payload, which is left for the caller to
// write behind it, and returns the size of the whole packet.
func AppendPublish(b []byte, version byte, d Delivery) (head []byte, size int) {
	var p []byte
	if version == Version5 {
		if d.Expiry > 0 {
			p = binary.BigEndian.AppendUint32(append(p, messageExpiry), d.Expiry)
		}
		for _, id := range d.Identifiers {
			p = AppendLength(append(p, subscriptionID), id)
		}
	}
	length := 2 + len(d.Topic) + len(d.Payload)
	if d.QoS > 0 {
		length += 2
	}
	properties := len(p) + len(d.Passed)
	if version == Version5 {
		length += properties + len(AppendLength(nil, properties))
	}
	first := byte(Publish)<<4 | d.QoS<<1
	if d.Dup {
		first |= 8
	}
	start := len(b)
	b = appendText(AppendLength(append(b, first), length), d.Topic)
	size = len(b) - start - 2 - len(d.Topic) + length
	if d.QoS > 0 {
		b = binary.BigEndian.AppendUint16(b, d.ID)
	}
	if version == Version5 {
		b = append(append(AppendLength(b, properties), p...), d.Passed...)
	}
	return b, size
}
