package broker

import (
	"crypto/subtle"
	"errors"
	"fmt"
	"slices"
	"time"

	"kpm/broker/packet"
	"kpm/core"
	"kpm/core/wire"
)

// code is a CONNACK return code in both versions of the protocol.
type code struct{ v5, v3 byte }

var (
	codeVersion       = code{byte(packet.UnsupportedVersion), 1}
	codeClientID      = code{byte(packet.ClientIDInvalid), 2}
	codeUnavailable   = code{byte(packet.Unavailable), 3}
	codeQuota         = code{byte(packet.QuotaExceeded), 3}
	codeNotAuthorized = code{byte(packet.NotAuthorized), 5}
	codeMethod        = code{byte(packet.BadMethod), 5}
	codeWillTopic     = code{byte(packet.TopicInvalid), 5}
	codeWillRetain    = code{byte(packet.RetainUnsupported), 5}
)

// refusal is why a CONNECT was not accepted; reason is for its sender and the
// log.
type refusal struct {
	code   code
	reason string
}

func (r *refusal) Error() string { return r.reason }

func refuse(c code, format string, args ...any) *refusal {
	return &refusal{c, fmt.Sprintf(format, args...)}
}

// connect decides about a CONNECT, and answers one that is refused. What cannot be
// read as a CONNECT is answered in version 5 only [MQTT-3.1.4-1].
func (b *Broker) connect(c *conn, body []byte) error {
	hello, err := packet.DecodeConnect(body)
	var answer []byte
	var fault *packet.Fault
	if errors.As(err, &fault) {
		if hello.Version == packet.Version5 {
			answer = packet.AppendRefusal(nil, hello.Version, byte(fault.Code), fault.Reason, hello.MaximumPacketSize)
		}
	} else if refused := b.admit(c, hello); refused != nil {
		err = refused
		code := refused.code.v3
		if hello.Version == packet.Version5 {
			code = refused.code.v5
		}
		answer = packet.AppendRefusal(nil, hello.Version, code, refused.reason, hello.MaximumPacketSize)
	}
	if err == nil {
		b.stats.admitted.Add(1)
		return nil
	}
	b.stats.refusedConnections.Add(1)
	b.noteRefusal(c.principal, Refusal{Operation: "connection", Client: hello.ClientID, Reason: err.Error()})
	b.logStranger(c.peer.User, "connection refused", "principal", c.principal.String(),
		"client", brief(hello.ClientID), "reason", err)
	c.stream.Write(answer) // within the time for a CONNECT
	return fmt.Errorf("broker: CONNECT: %w", err)
}

// admit binds c to one principal.
func (b *Broker) admit(c *conn, hello packet.Connection) *refusal {
	if hello.Protocol != "MQTT" || hello.Version != packet.Version3 && hello.Version != packet.Version5 {
		return refuse(codeVersion, "protocol %q version %d, supported are MQTT 3.1.1 and 5",
			brief(hello.Protocol), hello.Version)
	}
	if hello.HasAuthMethod {
		return refuse(codeMethod, "authentication methods are not supported")
	}
	if refused := b.identify(c, hello.ClientID); refused != nil {
		return refused
	}
	if refused := b.awaitTurn(c); refused != nil {
		return refused
	}
	if refused := b.acceptWill(c, hello); refused != nil {
		return refused
	}
	c.version, c.limit = hello.Version, hello.MaximumPacketSize
	c.clean, c.sessionLife = hello.Clean, hello.SessionExpiry
	if hello.Version == packet.Version3 && !hello.Clean {
		c.sessionLife = packet.NoExpiry
	}
	c.keepAlive = silence(hello)
	c.out = newOutbox(c, hello.ReceiveMaximum, b.stats.drops)
	if refused := b.reserve(c); refused != nil {
		return refused
	}
	// The principal may have been ended, and Disconnect called, since it was
	// identified: it is in b.ids now, so whoever ends it from here on finds it.
	if now, _ := b.cfg.Registry.Identify(c.peer); now != c.principal {
		return refuse(codeNotAuthorized, "%s has ended", c.principal)
	}
	c.answer = packet.Answer{ReceiveMaximum: maxUnreleased, MaximumPacketSize: maxPacket, ServerKeepAlive: serverKeepAlive(hello)}
	return nil
}

// awaitTurn waits until c's principal may come onto the bus. That it has ended meanwhile
// is seen afterwards.
func (b *Broker) awaitTurn(c *conn) *refusal {
	if b.cfg.Turn == nil {
		return nil
	}
	turn := b.cfg.Turn(c.principal)
	if turn == nil {
		return nil
	}
	select {
	case <-turn:
		return nil
	case <-b.done:
		return refuse(codeUnavailable, "the broker is closing")
	}
}

// silence is how long the next packet may take to come: one and a half times the
// keep-alive that the client goes by [MQTT-3.1.2-22]. Some ignore ours, so the
// longer one counts. 0 is for ever: the end of a process ends its connections
// (decision 18).
func silence(hello packet.Connection) time.Duration {
	return time.Duration(hello.KeepAlive) * time.Second * 3 / 2
}

// serverKeepAlive is what a version 5 client is told, 0 for its own.
func serverKeepAlive(hello packet.Connection) uint16 {
	if hello.KeepAlive == 0 || hello.KeepAlive > ourKeepAlive {
		return ourKeepAlive
	}
	return 0
}

// identify establishes who is connecting, from the kernel and the registry. The
// client id is only checked against that: a name on the wire proves nothing
// (decision 18).
func (b *Broker) identify(c *conn, id string) *refusal {
	if core.OutOfResources(c.peerErr) {
		return refuse(codeUnavailable, "%s", core.ResourceFault(c.peerErr))
	}
	if c.peerErr != nil {
		return refuse(codeNotAuthorized, "who is connecting could not be established: %v", c.peerErr)
	}
	if slices.Contains(c.peer.Processes, b.cfg.Self) {
		return refuse(codeNotAuthorized, "the service does not connect to itself")
	}
	c.principal, c.root = b.cfg.Registry.Identify(c.peer)
	p := c.principal
	if p.Kind != core.Plugin && p.Kind != core.JobRun {
		return refuse(codeNotAuthorized, "%s is not a process that this service launched", p)
	}
	// A plugin called KeeperPrivilegeManager would own the service's replies.
	if !core.ValidName(p.Name) || core.ReservedName(p.Name) {
		return refuse(codeNotAuthorized, "%q cannot be the name of a plugin or job", p.Name)
	}
	pid, token, ok := parseClientID(id, p)
	if !ok {
		return refuse(codeClientID, "client id %q is not %s", brief(id), clientIDFormat(p))
	}
	if pid != c.root.PID && !slices.ContainsFunc(c.peer.Processes, func(q core.ProcessID) bool { return q.PID == pid }) {
		return refuse(codeClientID, "client id %q names a process that is not at the other end", id)
	}
	if p.Kind == core.JobRun && b.cfg.RequireJobToken {
		// token is never empty, so a run without a secret matches nothing.
		if subtle.ConstantTimeCompare([]byte(token), []byte(b.cfg.Topics.Token(p))) != 1 {
			return refuse(codeNotAuthorized, "the client id does not carry the run's KEEPER_JOB_TOKEN")
		}
	}
	c.id = id
	s := newSpeaker(p, b.cfg.Topics)
	c.rights.Store(&s)
	return nil
}

// acceptWill keeps the Will for publishWill: it is a publish like any other.
func (b *Broker) acceptWill(c *conn, hello packet.Connection) *refusal {
	will := hello.Will
	if will == nil {
		return nil
	}
	var refused *refusal
	if err := c.rights.Load().mayWill(will.Topic); !wire.ValidTopic(will.Topic) {
		refused = refuse(codeWillTopic, "the Will's topic %q cannot be published to", brief(will.Topic))
	} else if err != nil {
		refused = refuse(codeNotAuthorized, "Will: %v", err)
	} else if will.Retain && hello.Version == packet.Version5 { // [MQTT-3.2.2-13]
		refused = refuse(codeWillRetain, "the Will is to be retained, and retained messages are not offered")
	}
	if refused != nil {
		b.stats.refusedWills.Add(1)
		return refused
	}
	c.will = &publication{
		from: c.principal, origin: c.id, topic: will.Topic, payload: will.Payload,
		qos: will.QoS, passed: will.Passed, expiry: will.Expiry, size: maxConnectPacket,
	}
	return nil
}

// publishWill says the Will of a connection that ended without goodbye, if it
// still may.
func (b *Broker) publishWill(c *conn) {
	select {
	case <-b.done:
		return
	default:
	}
	s := c.rights.Load()
	if err := s.mayWill(c.will.topic); err != nil {
		b.stats.refusedWills.Add(1)
		b.noteRefusal(c.principal, Refusal{Operation: "Will", Client: c.id, Topic: c.will.topic, Reason: err.Error(), Missing: s.lacks(publish, c.will.topic)})
		b.logRefusal(c, "Will", c.will.topic, err)
		return
	}
	c.will.received = time.Now()
	if _, missing := b.deliver(c.will); len(missing) > 0 {
		b.wait(missing)
	}
}
