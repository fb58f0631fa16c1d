package broker

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"kpm/broker/packet"
	"kpm/core/wire"
)

// errGoodbye means that the client has ended its connection as it should: it has
// no Will then.
var errGoodbye = errors.New("the client has said goodbye")

// establish is the life of a connection until it ends, and says why it did.
func (b *Broker) establish(c *conn) error {
	c.peer, c.peerErr = b.cfg.Peers.Peer(c.socket)
	if err := c.handshake(b.cfg.Peers); err != nil {
		return fmt.Errorf("broker: TLS: %w", err)
	}
	body, err := c.readConnect()
	if err != nil {
		return fmt.Errorf("broker: before CONNECT: %w", err)
	}
	if err := b.connect(c, body); err != nil {
		return err
	}
	b.arrive(c)
	return b.converse(c)
}

// converse reads packets until the connection ends. What is wrong with one, a
// version 5 client is told.
func (b *Broker) converse(c *conn) error {
	for {
		var deadline time.Time
		if c.keepAlive > 0 {
			deadline = time.Now().Add(c.keepAlive)
		}
		c.setReadDeadline(deadline)
		err := b.nextPacket(c)
		if err == nil {
			continue
		}
		var fault *packet.Fault
		switch {
		case errors.As(err, &fault):
			b.stats.faults.Add(1)
			b.logRefusal(c, "packet", "", err)
			c.dismiss(fault.Code, fault.Reason)
		case errors.Is(err, os.ErrDeadlineExceeded):
			c.dismiss(packet.KeepAliveTimeout, "nothing came within one and a half times the keep-alive")
		default:
			c.finish(nil)
		}
		return err
	}
}

// nextPacket reads one packet and does what it asks for. The error is a
// *packet.Fault, errGoodbye, or one of the socket's.
func (b *Broker) nextPacket(c *conn) error {
	h, err := packet.ReadHeader(c.r)
	if err != nil {
		return err
	}
	if h.Length > maxPacket {
		return &packet.Fault{Code: packet.TooLarge, Reason: fmt.Sprintf("a packet of %d bytes, the limit is %d", h.Length, maxPacket)}
	}
	body, err := c.readBody(h.Length)
	if err != nil {
		return err
	}
	switch h.Type {
	case packet.Publish:
		return b.published(c, h, body)
	case packet.Puback, packet.Pubrec, packet.Pubrel, packet.Pubcomp:
		return b.acknowledged(c, h.Type, body)
	case packet.Subscribe:
		return b.subscribes(c, body)
	case packet.Unsubscribe:
		return b.unsubscribes(c, body)
	case packet.Pingreq:
		if h.Length > 0 {
			return &packet.Fault{Code: packet.Malformed, Reason: "a PINGREQ has a body"}
		}
		b.answer(c, packet.AppendPingresp(nil))
		return nil
	case packet.Disconnect:
		return goodbye(c, body)
	}
	// A second CONNECT among them [MQTT-3.1.0-2].
	return &packet.Fault{Code: packet.ProtocolError, Reason: fmt.Sprintf("packet type %d has no place here", h.Type)}
}

// goodbye says how the client ends its connection. With any reason but 0 the Will
// is published [MQTT-3.14.4-3].
func goodbye(c *conn, body []byte) error {
	g, err := packet.DecodeDisconnect(c.version, body)
	switch {
	case err != nil:
		return err
	case g.SessionExpiry > 0 && c.sessionLife == 0: // [MQTT-3.14.2-2]
		return &packet.Fault{Code: packet.ProtocolError, Reason: "a session that was to end cannot be kept by DISCONNECT"}
	case g.HasSessionExpiry:
		c.sessionLife = g.SessionExpiry
	}
	if g.Code != packet.Success {
		return fmt.Errorf("the client has disconnected with reason code %#02x", byte(g.Code))
	}
	return errGoodbye
}

func (b *Broker) acknowledged(c *conn, t packet.Type, body []byte) error {
	a, err := packet.DecodeAck(c.version, body)
	if err != nil {
		return err
	}
	if t != packet.Pubrel {
		if reply := c.out.acknowledge(t, a); reply != nil {
			b.answer(c, reply)
		}
		return nil
	}
	code := packet.Success
	if !c.inbound.release(a.ID) {
		code = packet.IDNotFound
	}
	b.answer(c, packet.AppendAck(nil, packet.Pubcomp, c.version, a.ID, code))
	return nil
}

func (b *Broker) subscribes(c *conn, body []byte) error {
	s, err := packet.DecodeSubscribe(c.version, body)
	if err != nil {
		return err
	}
	codes := make([]byte, len(s.Filters))
	var granted []*subscription
	had := len(c.subscriptions) // changed by this goroutine alone
	for i, f := range s.Filters {
		code, reason := b.mayHear(c, f.Filter, &had)
		if code != packet.Success {
			if codes[i] = byte(code); c.version != packet.Version5 {
				codes[i] = 0x80
			}
			b.refused(c, Refusal{Operation: "subscription", Topic: f.Filter, Reason: reason, Missing: c.rights.Load().lacks(subscribe, f.Filter)})
			continue
		}
		codes[i] = f.QoS
		granted = append(granted, &subscription{conn: c, filter: f.Filter, qos: f.QoS, noLocal: f.NoLocal, identifier: s.Identifier})
	}
	// Whoever has been told that it has subscribed has; and it is told before it
	// gets what was kept.
	c.out.gate(true)
	defer c.out.gate(false)
	for _, g := range granted {
		b.routes.subscribe(g)
		if b.cfg.OnSubscribed != nil {
			b.cfg.OnSubscribed(c.principal, g.filter)
		}
	}
	b.answer(c, packet.AppendSuback(nil, packet.Suback, c.version, s.ID, codes))
	return nil
}

// mayHear says how a filter is answered; had counts the connection's.
func (b *Broker) mayHear(c *conn, filter string, had *int) (packet.Code, string) {
	switch {
	case strings.HasPrefix(filter, "$share/"):
		return packet.SharedUnsupported, "shared subscriptions are not offered"
	case !wire.ValidFilter(filter):
		return packet.FilterInvalid, "it is not a topic filter, or begins with $"
	case !c.rights.Load().mayRead(filter):
		return packet.NotAuthorized, fmt.Sprintf("%s may not subscribe to it", c.principal)
	}
	if c.subscriptions[filter] == nil {
		if *had >= maxSubscriptions {
			return packet.QuotaExceeded, fmt.Sprintf("the connection has %d subscriptions, the most that one may have", maxSubscriptions)
		}
		*had++
	}
	return packet.Success, ""
}

func (b *Broker) unsubscribes(c *conn, body []byte) error {
	id, filters, err := packet.DecodeUnsubscribe(c.version, body)
	if err != nil {
		return err
	}
	codes := make([]byte, len(filters))
	for i, filter := range filters {
		if !b.routes.unsubscribe(c, filter) {
			codes[i] = byte(packet.NoSubscription)
		}
	}
	b.answer(c, packet.AppendSuback(nil, packet.Unsuback, c.version, id, codes))
	return nil
}
