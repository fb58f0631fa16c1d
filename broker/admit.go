package broker

import (
	"crypto/subtle"
	"fmt"
	"slices"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"kpm/core"
	"kpm/core/wire"
)

// code is a CONNACK return code in both versions of the protocol.
type code struct{ v5, v3 byte }

var (
	codeVersion       = code{0x84, 1}
	codeClientID      = code{0x85, 2}
	codeUnavailable   = code{0x88, 3}
	codeQuota         = code{0x97, 3}
	codeNotAuthorized = code{0x87, 5}
	codeMethod        = code{0x8c, 5}
	codeWillTopic     = code{0x90, 5}
	codeKeepAlive     = code{0x83, 5} // implementation specific: the specification has none for it
	codeMalformed     = code{0x82, 5}
)

// refusal is why a CONNECT was not accepted; reason is for its sender and the
// log.
type refusal struct {
	code   code
	reason string
}

func refuse(c code, format string, args ...any) *refusal {
	return &refusal{c, fmt.Sprintf(format, args...)}
}

// connect decides about a CONNECT before mochi acts on it. It returns what
// mochi is to act on, or an error after which mochi closes the connection.
func (b *Broker) connect(c *conn, client *mqtt.Client, pk packets.Packet) (packets.Packet, error) {
	c.client = client
	if refused := b.admit(c, &pk); refused != nil {
		b.stats.refusedConnections.Add(1)
		b.logStranger(c.peer.User, "connection refused", "principal", c.principal.String(),
			"client", brief(pk.Connect.ClientIdentifier), "reason", refused.reason)
		connack := packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Connack}, ReasonCode: refused.code.v3}
		if pk.ProtocolVersion == 5 {
			client.Properties.ProtocolVersion = 5
			connack.ReasonCode = refused.code.v5
			connack.Properties.ReasonString = refused.reason
		}
		if err := client.WritePacket(connack); err != nil {
			return pk, packets.ErrRejectPacket
		}
		return pk, packets.ErrRejectPacket
	}
	b.stats.admitted.Add(1)
	c.admitted = true
	return pk, nil
}

// admit binds c to one principal. The Will is taken out of the CONNECT: it is
// not for mochi to publish.
func (b *Broker) admit(c *conn, pk *packets.Packet) *refusal {
	if string(pk.Connect.ProtocolName) != "MQTT" || pk.ProtocolVersion != 4 && pk.ProtocolVersion != 5 {
		return refuse(codeVersion, "protocol %q version %d, supported are MQTT 3.1.1 and 5",
			brief(string(pk.Connect.ProtocolName)), pk.ProtocolVersion)
	}
	will := pk.Connect
	pk.Connect.WillFlag, pk.Connect.WillTopic, pk.Connect.WillPayload = false, "", nil
	if will.WillFlag {
		pk.Connect.WillQos, pk.Connect.WillRetain = 0, false
	}
	if invalid := pk.ConnectValidate(); invalid != packets.CodeSuccess {
		return refuse(codeMalformed, "%s", invalid.Reason)
	}
	if pk.Properties.AuthenticationMethod != "" {
		return refuse(codeMethod, "authentication methods are not supported")
	}
	// Keep-alive 0 would let a dead client's socket, and its client id, live
	// for ever.
	if k := pk.Connect.Keepalive; k < minKeepAlive || k > maxKeepAlive {
		return refuse(codeKeepAlive, "keep-alive is %d s, allowed are %d to %d", k, minKeepAlive, maxKeepAlive)
	}
	if refused := b.identify(c, pk.Connect.ClientIdentifier); refused != nil {
		return refused
	}
	if refused := b.acceptWill(c, will); refused != nil {
		return refused
	}
	c.version = pk.ProtocolVersion
	c.out = newOutbox(c, pk.Properties)
	if refused := b.reserve(c); refused != nil {
		return refused
	}
	// The principal may have been ended, and Disconnect called, since it was
	// identified: it is in b.ids now, so whoever ends it from here on finds it.
	if now, _ := b.cfg.Registry.Identify(c.peer); now != c.principal {
		return refuse(codeNotAuthorized, "%s has ended", c.principal)
	}
	return nil
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
	c.speaker = newSpeaker(p, b.cfg.Topics)
	return nil
}

// acceptWill keeps the Will for publishWill. mochi would publish it without
// any check: a way to forge whatever the client may not say itself.
func (b *Broker) acceptWill(c *conn, will packets.ConnectParams) *refusal {
	if !will.WillFlag {
		return nil
	}
	if will.WillQos > 2 || !wire.ValidTopic(will.WillTopic) {
		b.stats.refusedWills.Add(1)
		return refuse(codeWillTopic, "the Will's topic %q cannot be published to", brief(will.WillTopic))
	}
	if err := c.mayWill(will.WillTopic); err != nil {
		b.stats.refusedWills.Add(1)
		return refuse(codeNotAuthorized, "Will: %v", err)
	}
	c.will = &publication{
		from: c.principal, origin: c.id, topic: will.WillTopic, payload: will.WillPayload,
		qos: will.WillQos, properties: will.WillProperties, size: maxConnectPacket,
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
	if err := c.mayWill(c.will.topic); err != nil {
		b.stats.refusedWills.Add(1)
		b.logRefusal(c, "Will", c.will.topic, err)
		return
	}
	c.will.received = time.Now()
	b.deliver(c.will)
}
