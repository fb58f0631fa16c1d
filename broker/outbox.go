package broker

import (
	"sync"
	"time"

	"kpm/broker/packet"
	"kpm/core"
	"kpm/core/wire"
)

// publication is a permitted message on its way to whoever may receive it. It
// is shared by all of them and never changed.
type publication struct {
	from     core.Principal
	origin   string // client id of the publisher; empty for the service
	topic    string
	payload  []byte
	qos      byte
	passed   []byte // properties of version 5 that subscribers see
	expiry   uint32 // seconds; 0 is none
	message  *wire.RequestMessage
	only     core.UserID // of subscribers in users' sessions this user's alone; empty is all
	received time.Time
	size     int // bytes that it keeps in memory
}

// cost is about how many bytes p occupies while it is queued.
func (p *publication) cost() int64 { return int64(256 + p.size + len(p.passed)) }

// delivery is a publication for one subscriber.
type delivery struct {
	*publication
	to          *conn
	qos         byte
	dup         bool
	id          uint16 // of an earlier delivery that is repeated; 0 is none
	released    bool   // the client has received it, and was told to go on with it
	identifiers []int  // subscription identifiers, version 5
}

// flight is a delivery of QoS 1 or 2 that the subscriber has not finished.
type flight struct {
	awaited packet.Type // what it has to send next
	// delivery is there if it is repeated should the connection end.
	delivery *delivery
}

// outbox is everything that goes to one connection: answers to what it sent, and
// deliveries, in order. Whoever puts something into it does not wait for a
// write: otherwise a publisher would be held up for as long as its slowest
// subscriber; and a connection that cannot be written to would not be read
// either, while its client, for the same reason, waits for us.
type outbox struct {
	conn   *conn
	window int  // QoS 1 and 2 deliveries on their way at once
	repeat bool // what is not acknowledged is kept for the next connection
	drops  drops
	wake   chan struct{} // holds an element when there may be something to write
	ended  chan struct{} // closed when run has returned

	mu       sync.Mutex
	closed   bool // nothing is taken any more
	gated    bool // deliveries wait for an answer
	queue    []delivery
	queued   int64 // bytes of queue, and of flights that are repeated
	flights  map[uint16]flight
	order    []uint16 // ids of flights that are repeated, oldest first
	lastID   uint16
	control  [][]byte // answers
	unread   int      // bytes of control
	progress time.Time
	room     chan struct{} // closed, and made anew, when something was taken; nil if nobody waits
}

func newOutbox(c *conn, receiveMaximum uint16, drops drops) *outbox {
	window := maxUnacknowledged
	if receiveMaximum > 0 {
		window = min(window, int(receiveMaximum))
	}
	return &outbox{
		conn: c, window: window, drops: drops,
		wake: make(chan struct{}, 1), ended: make(chan struct{}),
		flights: map[uint16]flight{},
	}
}

// put queues d and reports whether there was room.
func (o *outbox) put(d delivery) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed || o.queued > 0 && o.queued+d.cost() > maxQueuedBytes {
		return false
	}
	o.push(d)
	return true
}

// hand queues what was kept: it is bounded already, and comes first. o takes it
// unless it is closed.
func (o *outbox) hand(ds []delivery) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		return false
	}
	for _, d := range ds {
		o.push(d)
	}
	return true
}

func (o *outbox) push(d delivery) {
	o.begin()
	o.queue = append(o.queue, d)
	o.queued += d.cost()
	signal(o.wake)
}

// begin starts the clock of an outbox in which there was nothing that the
// subscriber could have taken; o.mu is held.
func (o *outbox) begin() {
	if len(o.queue)+len(o.flights)+len(o.control) == 0 {
		o.progress = time.Now()
	}
}

// stalled says how long the subscriber may still take nothing of what is queued,
// and returns a channel that is closed when it has.
func (o *outbox) stalled() (left time.Duration, room <-chan struct{}) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.room == nil {
		o.room = make(chan struct{})
	}
	return maxStall - time.Since(o.progress), o.room
}

// moved notes that the subscriber took something; o.mu is held.
func (o *outbox) moved() {
	o.progress = time.Now()
	if o.room != nil {
		close(o.room)
		o.room = nil
	}
}

// answer queues a packet that answers the client's, and reports whether there was
// room: it gets no more answers than maxControl if it does not read them.
func (o *outbox) answer(p []byte) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.unread+len(p) > maxControl {
		return false
	}
	o.begin()
	o.unread += len(p)
	o.control = append(o.control, p)
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

// gate has deliveries wait, or go on.
func (o *outbox) gate(closed bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.gated = closed
	signal(o.wake)
}

// batch is what is written next.
type batch struct {
	control [][]byte
	out     []delivery
	size    int64
}

// writeAhead is how many bytes of deliveries a batch takes along.
const writeAhead = 64 << 10

// next takes a batch, which may be empty.
func (o *outbox) next(b *batch) {
	o.mu.Lock()
	defer o.mu.Unlock()
	b.control, b.out, b.size = o.control, b.out[:0], 0
	o.control, o.unread = nil, 0
	n := 0
	for ; !o.gated && n < len(o.queue) && b.size < writeAhead; n++ {
		d := o.queue[n]
		if d.qos > 0 {
			if len(o.flights) >= o.window {
				break
			}
			d.id = o.take(d)
		}
		b.out = append(b.out, d)
		b.size += d.cost()
		if d.qos == 0 || !o.repeat {
			o.queued -= d.cost()
		}
	}
	clear(o.queue[:n])
	if o.queue = o.queue[n:]; len(o.queue) == 0 {
		o.queue = nil
	}
}

// take enters a flight and returns its packet id. There always is one: the
// window is smaller than the number of ids.
func (o *outbox) take(d delivery) uint16 {
	id := d.id
	for id == 0 {
		o.lastID++
		if _, busy := o.flights[o.lastID]; !busy {
			id = o.lastID
		}
	}
	f := flight{awaited: packet.Puback}
	if d.qos == 2 {
		f.awaited = packet.Pubrec
	}
	if o.repeat {
		d.id = id
		f.delivery = &d
		o.order = append(o.order, id)
	}
	o.flights[id] = f
	return id
}

// run writes until the connection is closed, and then what was still to be said,
// such as why.
func (o *outbox) run() {
	defer close(o.ended)
	defer o.conn.cut()
	var b batch
	for {
		o.next(&b)
		if len(b.control)+len(b.out) == 0 {
			select {
			case <-o.wake:
				continue
			case <-o.conn.done:
				o.next(&b)
				b.control = append(b.control, o.conn.farewell)
				o.write(&b)
				return
			}
		}
		if !o.write(&b) {
			return
		}
		select {
		case <-o.conn.done:
			o.mu.Lock()
			b.control = append(o.control, o.conn.farewell)
			o.control = nil
			o.mu.Unlock()
			b.out = nil
			o.write(&b)
			return
		default:
		}
	}
}

// write writes a batch, each packet by itself.
func (o *outbox) write(b *batch) bool {
	g, w := o.conn.gather, o.conn.stream
	g.hold()
	for _, p := range b.control {
		if len(p) > 0 {
			w.Write(p)
		}
	}
	buf := g.buffers.get()
	for _, d := range b.out {
		head, why := o.encode(buf[:0], d)
		switch {
		case why != "":
			o.drop(d, why)
		case len(d.payload) <= copyUpTo:
			w.Write(append(head, d.payload...))
		default:
			w.Write(head)
			w.Write(d.payload)
		}
	}
	g.buffers.put(buf)
	if g.release() != nil {
		return false
	}
	o.mu.Lock()
	o.moved()
	o.mu.Unlock()
	clear(b.out)
	return true
}

// encode appends d up to its payload to buf, or says why it is left out: it is out
// of date, larger than the client takes [MQTT-3.1.2-25], or may no longer be read.
func (o *outbox) encode(buf []byte, d delivery) ([]byte, Cause) {
	c := o.conn
	p := packet.Delivery{Topic: d.topic, ID: d.id, QoS: d.qos, Dup: d.dup, Passed: d.passed, Identifiers: d.identifiers, Payload: d.payload}
	if d.expiry > 0 {
		waited := uint32(time.Since(d.received) / time.Second)
		if waited >= d.expiry {
			return buf, Expired
		}
		p.Expiry = d.expiry - waited
	}
	if !c.rights.Load().mayRead(d.topic) {
		return buf, RightsChanged
	}
	head, size := packet.AppendPublish(buf, c.version, p)
	if c.limit > 0 && size > int(c.limit) {
		return buf, TooLarge
	}
	return head, ""
}

// drop counts what was not sent after all, and gives back its id.
func (o *outbox) drop(d delivery, why Cause) {
	o.drops.add(why, 1)
	if d.qos == 0 {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.release(d.id)
}

// release forgets a flight; o.mu is held.
func (o *outbox) release(id uint16) {
	f := o.flights[id]
	delete(o.flights, id)
	o.forget(id, f)
	signal(o.wake)
}

// forget takes a flight from those that are repeated; o.mu is held.
func (o *outbox) forget(id uint16, f flight) {
	if f.delivery == nil {
		return
	}
	o.queued -= f.delivery.cost()
	for i, other := range o.order {
		if other == id {
			o.order = append(o.order[:i], o.order[i+1:]...)
			break
		}
	}
}

// acknowledge takes a PUBACK, PUBREC or PUBCOMP. One that is not awaited changes
// nothing; a PUBREC is answered all the same (MQTT 5, section 4.3.3).
func (o *outbox) acknowledge(t packet.Type, a packet.Ack) (reply []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	f := o.flights[a.ID]
	expected := f.awaited == t
	if expected {
		o.moved()
	}
	if t != packet.Pubrec || a.Code >= 0x80 {
		if expected {
			o.release(a.ID)
		}
		return nil
	}
	code := packet.Success
	switch {
	case expected:
		// The client has it. Whether it has done anything with it is known when
		// it completes: another process would have to.
		f.awaited = packet.Pubcomp
		o.flights[a.ID] = f
	case f.awaited != packet.Pubcomp:
		code = packet.IDNotFound
	}
	return packet.AppendAck(nil, packet.Pubrel, o.conn.version, a.ID, code)
}

// close takes nothing any more, and returns what was not delivered at QoS 1 and 2,
// oldest first. What was sent has an id.
func (o *outbox) close() (left []delivery) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed = true
	for _, id := range o.order {
		f := o.flights[id]
		d := *f.delivery
		d.dup, d.released = true, f.awaited == packet.Pubcomp
		left = append(left, d)
	}
	for _, d := range o.queue {
		if d.qos > 0 {
			left = append(left, d)
		}
	}
	o.queue, o.order, o.flights, o.queued = nil, nil, nil, 0
	o.moved()
	return left
}

// resume has the client complete what it has received [MQTT-4.4.0-1].
func (o *outbox) resume(released []delivery) {
	for _, d := range released {
		o.mu.Lock()
		o.flights[d.id] = flight{packet.Pubcomp, &d}
		o.order = append(o.order, d.id)
		o.queued += d.cost()
		o.mu.Unlock()
		o.answer(packet.AppendAck(nil, packet.Pubrel, o.conn.version, d.id, packet.Success))
	}
}

// waiting is how many deliveries are queued.
func (o *outbox) waiting() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.queue)
}
