// Package packet reads and writes the control packets of MQTT 3.1.1 and 5, from
// the server's side: what a client may send is decoded, what it is answered is
// encoded.
//
// It is strict: what the specifications call malformed or a protocol error is a
// *Fault with the reason code that version 5 has for it. It knows packets and
// no sessions, and nothing of who may say what. References such as
// [MQTT-3.1.2-3] are to the statements of MQTT Version 3.1.1 and MQTT Version
// 5.0 (OASIS Standard); sections are those of version 5.
package packet

import "fmt"

// Type is the type of a control packet, the upper four bits of its first byte.
type Type byte

// The types that either side sends.
const (
	Connect     Type = 1
	Connack     Type = 2
	Publish     Type = 3
	Puback      Type = 4
	Pubrec      Type = 5
	Pubrel      Type = 6
	Pubcomp     Type = 7
	Subscribe   Type = 8
	Suback      Type = 9
	Unsubscribe Type = 10
	Unsuback    Type = 11
	Pingreq     Type = 12
	Pingresp    Type = 13
	Disconnect  Type = 14
	Auth        Type = 15
)

// Code is a reason code of version 5 (section 2.4).
type Code byte

// The reason codes that this broker uses.
const (
	Success             Code = 0x00
	NoMatchingSubs      Code = 0x10
	NoSubscription      Code = 0x11
	Malformed           Code = 0x81
	ProtocolError       Code = 0x82
	ImplementationError Code = 0x83
	UnsupportedVersion  Code = 0x84
	ClientIDInvalid     Code = 0x85
	NotAuthorized       Code = 0x87
	Unavailable         Code = 0x88
	ShuttingDown        Code = 0x8b
	BadMethod           Code = 0x8c
	KeepAliveTimeout    Code = 0x8d
	TakenOver           Code = 0x8e
	FilterInvalid       Code = 0x8f
	TopicInvalid        Code = 0x90
	IDInUse             Code = 0x91
	IDNotFound          Code = 0x92
	AliasInvalid        Code = 0x94
	TooLarge            Code = 0x95
	QuotaExceeded       Code = 0x97
	RetainUnsupported   Code = 0x9a
	SharedUnsupported   Code = 0x9e
)

// Fault is what is wrong with a packet. The connection that it came on has to be
// closed; version 5 is told the code first.
type Fault struct {
	Code   Code
	Reason string
}

func (f *Fault) Error() string { return fmt.Sprintf("%s (reason code %#02x)", f.Reason, byte(f.Code)) }

func malformed(format string, args ...any) error {
	return &Fault{Malformed, fmt.Sprintf(format, args...)}
}

func protocolError(format string, args ...any) error {
	return &Fault{ProtocolError, fmt.Sprintf(format, args...)}
}
