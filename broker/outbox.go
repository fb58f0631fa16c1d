package broker

import (
	"bytes"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"

	"kpm/core"
	"kpm/core/wire"
)

// publication is a permitted message on its way to whoever may receive it. It
// is shared by all of them and never changed.
type publication struct {
	from       core.Principal
	origin     string // client id of the publisher; empty for the service
	topic      string
	payload    []byte
	qos        byte
	properties packets.Properties
	message    *wire.RequestMessage // decoded already, or nil
	received   time.Time
	size       int // of the packet it came in, which its strings keep in memory
}

// cost is about how many bytes p occupies while it is queued.
func (p *publication) cost() int64 { return int64(256 + p.size + 64*len(p.properties.User)) }

// delivery is a publication for one subscriber.
type delivery struct {
	*publication
	qos         byte
	identifiers []int // subscription identifiers, version 5
}

// outbox is everything that goes to one connection: deliveries, in order, and
// mochi's own packets. Whoever puts something into it does not wait for a write.
// Otherwise a publisher would be held up for as long as its slowest subscriber;
// and a connection that cannot be written to would not be read either, while
// its client, for the same reason, waits for us.
//
// Packet ids of deliveries are handed out and taken back here alone. mochi keeps
// both directions in one table, and a client's own id would displace a delivery
// (its issue 545).
type outbox struct {
	conn      *conn
	version5  bool
	maxPacket int // the client's limit in bytes; 0 is none
	queue     chan delivery
	queued    atomic.Int64  // bytes
	window    chan struct{} // one element for each QoS 1 or 2 delivery on its way
	wake      chan struct{} // holds an element when there is something in control
	room      chan struct{} // holds an element when something was taken from queue
	ended     chan struct{} // closed when run has returned

	holding sync.Mutex   // one publisher waits for room, others for that one
	held    atomic.Int64 // how long others waited since the queue was empty

	mu      sync.Mutex
	lastID  uint16
	flight  map[uint16]byte // the packet type that is awaited next
	control []byte          // encoded packets of mochi
}

func newOutbox(c *conn, p packets.Properties) *outbox {
	window := maxUnacknowledged
	if p.ReceiveMaximum > 0 {
		window = min(window, int(p.ReceiveMaximum))
	}
	return &outbox{
		conn:      c,
		version5:  c.version == 5,
		maxPacket: int(p.MaximumPacketSize),
		queue:     make(chan delivery, maxQueuedMessages),
		window:    make(chan struct{}, window),
		wake:      make(chan struct{}, 1),
		room:      make(chan struct{}, 1),
		ended:     make(chan struct{}),
		flight:    map[uint16]byte{},
	}
}

// put queues d and reports whether there was room.
func (o *outbox) put(d delivery) bool {
	if o.queued.Add(d.cost()) <= maxQueuedBytes {
		select {
		case o.queue <- d:
			return true
		default:
		}
	}
	o.queued.Add(-d.cost())
	return false
}

// hold is put for a publisher that can wait: a burst is slowed down to the pace
// of its subscribers. From one moment when it had caught up to the next, a
// subscriber may hold up others for maxHold in all.
func (o *outbox) hold(d delivery) bool {
	o.holding.Lock()
	defer o.holding.Unlock()
	start := time.Now()
	timer := time.NewTimer(maxHold - time.Duration(o.held.Load()))
	defer timer.Stop()
	for !o.put(d) {
		select {
		case <-o.room:
		case <-timer.C:
			return false
		case <-o.conn.done:
			return false
		}
	}
	o.held.Add(int64(time.Since(start)))
	return true
}

// putControl queues a packet of mochi's and reports whether there was room: a
// client gets no more answers than maxControl if it does not read them.
func (o *outbox) putControl(packet []byte) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.control)+len(packet) > maxControl {
		return false
	}
	o.control = append(o.control, packet...)
	signal(o.wake)
	return true
}

// signal leaves an element in c, which holds one.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// A write takes along what is waiting up to writeAhead bytes; buffers above
// keepBuffer are not kept.
const (
	writeAhead = 16 << 10
	keepBuffer = 64 << 10
)

// run writes until the connection is closed, and then what mochi still had to
// say, such as why.
func (o *outbox) run() {
	defer close(o.ended)
	defer o.conn.cut()
	var buf bytes.Buffer
	var held *delivery // the next one, when the window is closed
	for {
		queue, window := o.queue, chan<- struct{}(nil)
		if held != nil {
			queue, window = nil, o.window
		}
		select {
		case <-o.wake:
		case d := <-queue:
			held = o.add(&buf, d)
		case window <- struct{}{}:
			o.encode(&buf, *held)
			held = nil
		case <-o.conn.done:
			o.addControl(&buf)
			o.flush(&buf)
			return
		}
		o.addControl(&buf)
		for held == nil && buf.Len() < writeAhead {
			select {
			case d := <-o.queue:
				held = o.add(&buf, d)
				continue
			default:
				o.held.Store(0)
			}
			break
		}
		if !o.flush(&buf) {
			return
		}
	}
}

func (o *outbox) flush(buf *bytes.Buffer) bool {
	if buf.Len() > 0 {
		if _, err := o.conn.Conn.Write(buf.Bytes()); err != nil {
			return false
		}
	}
	if buf.Reset(); buf.Cap() > keepBuffer {
		*buf = bytes.Buffer{}
	}
	return true
}

func (o *outbox) addControl(buf *bytes.Buffer) {
	o.mu.Lock()
	defer o.mu.Unlock()
	buf.Write(o.control)
	o.control = o.control[:0]
}

// add appends d to buf, or returns it if the subscriber must acknowledge
// something first.
func (o *outbox) add(buf *bytes.Buffer, d delivery) *delivery {
	o.queued.Add(-d.cost())
	signal(o.room)
	if d.qos > 0 {
		select {
		case o.window <- struct{}{}:
		default:
			return &d
		}
	}
	o.encode(buf, d)
	return nil
}

// encode appends d to buf, unless it is out of date or larger than the client
// takes. The window already counts it.
func (o *outbox) encode(buf *bytes.Buffer, d delivery) {
	before := buf.Len()
	var id uint16
	if d.qos > 0 {
		id = o.take(d.qos)
	}
	if !o.encodeAs(buf, d, id) {
		buf.Truncate(before)
		if d.qos > 0 {
			o.drop(id)
		}
	}
}

func (o *outbox) encodeAs(buf *bytes.Buffer, d delivery, id uint16) bool {
	pk := packets.Packet{
		FixedHeader:     packets.FixedHeader{Type: packets.Publish, Qos: d.qos},
		ProtocolVersion: o.conn.version,
		TopicName:       d.topic,
		PacketID:        id,
		Payload:         d.payload,
	}
	if o.version5 {
		pk.Mods.AllowResponseInfo = true
		pk.Properties = d.properties
		pk.Properties.TopicAlias, pk.Properties.TopicAliasFlag = 0, false
		pk.Properties.SubscriptionIdentifier = d.identifiers
		if left := pk.Properties.MessageExpiryInterval; left > 0 {
			waited := uint32(time.Since(d.received) / time.Second)
			if waited >= left {
				return false
			}
			pk.Properties.MessageExpiryInterval = left - waited
		}
	}
	before := buf.Len()
	if err := pk.PublishEncode(buf); err != nil {
		return false
	}
	return o.maxPacket == 0 || buf.Len()-before <= o.maxPacket
}

// take hands out a packet id. There always is one: the window is smaller than
// the number of ids.
func (o *outbox) take(qos byte) uint16 {
	o.mu.Lock()
	defer o.mu.Unlock()
	for {
		o.lastID++
		if _, busy := o.flight[o.lastID]; busy || o.lastID == 0 {
			continue
		}
		o.flight[o.lastID] = packets.Puback
		if qos == 2 {
			o.flight[o.lastID] = packets.Pubrec
		}
		return o.lastID
	}
}

// drop gives back an id that was not sent after all.
func (o *outbox) drop(id uint16) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.release(id)
}

// release forgets an id and opens the window; o.mu is held. The window holds an
// element for every id in flight.
func (o *outbox) release(id uint16) {
	delete(o.flight, id)
	<-o.window
}

// acknowledge takes a PUBACK, PUBREC or PUBCOMP. One that is not awaited changes
// nothing; a PUBREC is answered all the same (MQTT 5, section 4.3.3).
func (o *outbox) acknowledge(pk packets.Packet) (reply *packets.Packet) {
	o.mu.Lock()
	defer o.mu.Unlock()
	awaited := o.flight[pk.PacketID] // 0 if the id is not in flight
	expected := awaited == pk.FixedHeader.Type
	if pk.FixedHeader.Type != packets.Pubrec || pk.ReasonCode >= packets.ErrUnspecifiedError.Code {
		if expected {
			o.release(pk.PacketID)
		}
		return nil
	}
	reply = &packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Pubrel, Qos: 1}, PacketID: pk.PacketID}
	switch {
	case expected:
		o.flight[pk.PacketID] = packets.Pubcomp
	case awaited != packets.Pubcomp:
		reply.ReasonCode = packets.ErrPacketIdentifierNotFound.Code
	}
	return reply
}
