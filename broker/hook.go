package broker

import (
	"errors"
	"strings"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"kpm/core/wire"
)

// hook is where mochi asks. It is the only hook: mochi takes the first yes of
// any.
type hook struct {
	mqtt.HookBase
	broker *Broker
}

func (h *hook) ID() string { return "kpm" }

func (h *hook) Provides(b byte) bool {
	switch b {
	case mqtt.OnPacketRead, mqtt.OnConnectAuthenticate, mqtt.OnACLCheck, mqtt.OnPublish,
		mqtt.OnPacketEncode, mqtt.OnSessionEstablish, mqtt.OnSubscribed:
		return true
	}
	return false
}

// OnPacketRead sees every packet before mochi acts on it, on the connection's
// own goroutine. An error would cut the connection, so what must not happen is
// turned into something harmless instead.
func (h *hook) OnPacketRead(client *mqtt.Client, pk packets.Packet) (packets.Packet, error) {
	c := client.Net.Conn.(*conn)
	switch pk.FixedHeader.Type {
	case packets.Connect:
		if c.admitted {
			return pk, nil // a second one: mochi cuts the connection
		}
		return h.broker.connect(c, client, pk)
	case packets.Publish:
		return h.broker.read(c, pk), nil
	case packets.Puback, packets.Pubrec, packets.Pubcomp:
		// These answer deliveries, which mochi knows nothing of.
		if reply := c.out.acknowledge(pk); reply != nil {
			if err := client.WritePacket(*reply); err != nil {
				c.cut()
			}
		}
		return ignored, nil
	}
	return pk, nil
}

// ignored is a packet that mochi looks up and finds nothing for: packet id 0 is
// never used.
var ignored = packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Puback}}

// refusedTopic stands in for the topic of a refused publish, so that mochi
// acknowledges it whatever its topic was. Nothing is ever published on it.
const refusedTopic = "refused"

// forNobody stands for a publication that is permitted and not delivered. It is
// compared and never written to.
var forNobody = &publication{}

// read decides about a PUBLISH. If it is permitted, it waits in c.pending for
// OnPublish; if not, mochi acknowledges it and nobody hears of it (decision 19).
func (b *Broker) read(c *conn, pk packets.Packet) packets.Packet {
	c.pending = nil
	if pk.PublishValidate(0) != packets.CodeSuccess {
		return pk // not MQTT, or a topic alias: mochi cuts the connection
	}
	pk.Payload = b.logged(c.principal, pk.TopicName, enveloped(c.principal, pk.TopicName, pk.Payload))
	message, err := b.check(&c.speaker, pk.TopicName, pk.FixedHeader.Retain, pk.Payload)
	if err != nil {
		b.stats.refusedPublishes.Add(1)
		b.logRefusal(c, "publish", brief(pk.TopicName), err)
		pk.TopicName, pk.Payload = refusedTopic, nil
		if errors.Is(err, errUnheard) {
			c.pending = forNobody // acknowledged in version 5 as well
		}
		return pk
	}
	c.pending = &publication{
		from: c.principal, origin: c.id, topic: pk.TopicName, payload: pk.Payload, qos: pk.FixedHeader.Qos,
		properties: pk.Properties, message: message, received: time.Now(), size: max(pk.FixedHeader.Remaining, len(pk.Payload)),
	}
	if message != nil {
		// The envelope is what was checked: a response topic beside it was not.
		c.pending.properties = packets.Properties{}
	}
	return pk
}

// OnConnectAuthenticate confirms what connect decided.
func (h *hook) OnConnectAuthenticate(client *mqtt.Client, _ packets.Packet) bool {
	return client.Net.Conn.(*conn).admitted
}

// OnACLCheck is asked before a publish, which read has decided about: "no" makes
// mochi answer 0x87 in version 5, but cut the connection in 3.1.1. And it is
// asked for each filter of a SUBSCRIBE.
func (h *hook) OnACLCheck(client *mqtt.Client, topic string, write bool) bool {
	c := client.Net.Conn.(*conn)
	if write {
		return c.pending != nil || c.version != 5
	}
	if !wire.ValidFilter(topic) || !c.mayRead(topic) {
		return false
	}
	if client.State.Subscriptions.Len() < maxSubscriptions {
		return true
	}
	_, again := client.State.Subscriptions.Get(topic)
	return again
}

// OnPublish delivers what read permitted, before mochi acknowledges it. mochi is
// always told to forward nothing and keep nothing.
func (h *hook) OnPublish(client *mqtt.Client, pk packets.Packet) (packets.Packet, error) {
	c := client.Net.Conn.(*conn)
	if m := c.pending; m != nil {
		c.pending = nil
		if m != forNobody {
			h.broker.deliver(m)
		}
	}
	return pk, packets.CodeSuccessIgnore
}

// OnPacketEncode tells version 5 clients the limits that mochi enforces but does
// not mention.
func (h *hook) OnPacketEncode(client *mqtt.Client, pk packets.Packet) packets.Packet {
	if pk.FixedHeader.Type == packets.Connack && pk.ReasonCode == packets.CodeSuccess.Code {
		pk.Properties.MaximumPacketSize = maxPacket
		pk.Properties.RetainAvailableFlag = true
		pk.Properties.SharedSubAvailableFlag = true
	}
	return pk
}

// OnSessionEstablish is called before the CONNACK, which is then the first thing
// in the outbox: whoever has been told that it is connected has arrived.
func (h *hook) OnSessionEstablish(client *mqtt.Client, _ packets.Packet) {
	c := client.Net.Conn.(*conn)
	c.arrived = true
	go c.out.run() // awaited in serve
	h.broker.arrive(c)
}

// OnSubscribed sees what each filter of a SUBSCRIBE was answered.
func (h *hook) OnSubscribed(client *mqtt.Client, pk packets.Packet, codes []byte) {
	b, c := h.broker, client.Net.Conn.(*conn)
	for i, sub := range pk.Filters {
		switch {
		case codes[i] >= packets.ErrUnspecifiedError.Code:
			b.stats.refusedSubscriptions.Add(1)
			b.logRefusal(c, "subscription", brief(sub.Filter), errNotPermitted)
		case b.cfg.OnSubscribed != nil:
			b.cfg.OnSubscribed(c.principal, sub.Filter)
		}
	}
}

// brief makes a name from the wire fit for logs and errors.
func brief(s string) string {
	const longest = 128
	if len(s) > longest {
		s = strings.ToValidUTF8(s[:longest], "") + "..."
	}
	return wire.Printable(s)
}
