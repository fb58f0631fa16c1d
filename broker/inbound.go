package broker

import (
	"errors"
	"sync"
	"time"

	"kpm/broker/packet"
)

// incoming is a PUBLISH that was read.
type incoming struct {
	header  packet.Header
	message packet.Message
}

// inbound is what a connection has published and is not through with.
//
// Usually a PUBLISH is delivered and acknowledged before the next packet is
// read. When a subscriber has no room for it, the connection is read on
// nevertheless: two clients that wait for each other, or one that hears itself,
// could not acknowledge what they were sent otherwise. What it publishes
// meanwhile waits in order, up to maxBehind bytes.
type inbound struct {
	mu         sync.Mutex
	unreleased map[uint16]struct{} // QoS 2 messages that were taken and not released: at most 65,535
	waiting    []incoming
	bytes      int
	busy       chan struct{} // not nil while something waits; closed when nothing does
	room       chan struct{} // not nil while the reader waits; closed when there is room
}

// enter remembers a message of QoS 2, and reports whether it is a new one.
func (in *inbound) enter(id uint16) bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	_, again := in.unreleased[id]
	in.unreleased[id] = struct{}{}
	return !again
}

// release forgets one, and reports whether it was there.
func (in *inbound) release(id uint16) bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	_, ok := in.unreleased[id]
	delete(in.unreleased, id)
	return ok
}

// queue has m wait behind others, or reports that there are none. full is not
// nil if nothing more should be read until it is closed.
func (in *inbound) queue(m incoming) (waits bool, full <-chan struct{}) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.busy == nil {
		return false, nil
	}
	in.waiting = append(in.waiting, m)
	if in.bytes += m.header.Length; in.bytes > maxBehind {
		if in.room == nil {
			in.room = make(chan struct{})
		}
		full = in.room
	}
	return true, full
}

// begin has whatever is published from now on wait.
func (in *inbound) begin() {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.busy = make(chan struct{})
}

// next takes the oldest, or reports that nothing waits any more.
func (in *inbound) next() (incoming, bool) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if len(in.waiting) == 0 {
		in.waiting = nil
		close(in.busy)
		in.busy = nil
		return incoming{}, false
	}
	m := in.waiting[0]
	in.waiting[0] = incoming{}
	in.waiting = in.waiting[1:]
	if in.bytes -= m.header.Length; in.bytes <= maxBehind && in.room != nil {
		close(in.room)
		in.room = nil
	}
	return m, true
}

// idle waits until nothing waits, or the broker closes.
func (in *inbound) idle(closed <-chan struct{}) {
	in.mu.Lock()
	busy := in.busy
	in.mu.Unlock()
	if busy == nil {
		return
	}
	select {
	case <-busy:
	case <-closed:
	}
}

// published takes a PUBLISH. The error is a *packet.Fault.
func (b *Broker) published(c *conn, h packet.Header, body []byte) error {
	m, err := packet.DecodePublish(h, c.version, body)
	if err != nil {
		return err
	}
	if h.QoS() == 2 && !c.inbound.enter(m.ID) { // sent again [MQTT-4.3.3-10]
		b.answer(c, packet.AppendAck(nil, packet.Pubrec, c.version, m.ID, packet.Success))
		return nil
	}
	in := incoming{h, m}
	waits, full := c.inbound.queue(in)
	switch {
	case full != nil:
		select {
		case <-full:
		case <-c.done:
		}
	case !waits:
		if missing, o := b.take(c, in); len(missing) > 0 {
			c.inbound.begin()
			b.wg.Go(func() { b.catchUp(c, in, missing, o) }) // ends with what waits; awaited in serve
		} else {
			b.acknowledge(c, in, o.code())
		}
	}
	return nil
}

// catchUp goes on with a publish that some subscriber had no room for, and with
// everything that was published behind it.
func (b *Broker) catchUp(c *conn, in incoming, missing []delivery, o outcome) {
	for more := true; more; {
		if len(missing) > 0 && !b.wait(missing) {
			o.all = false
		}
		b.acknowledge(c, in, o.code())
		if in, more = c.inbound.next(); more {
			missing, o = b.take(c, in)
		}
	}
}

// take decides about a publish and delivers it. missing are the subscribers that
// it could wait for.
func (b *Broker) take(c *conn, in incoming) (missing []delivery, o outcome) {
	s, topic := c.rights.Load(), in.message.Topic
	payload := b.logged(c.principal, topic, enveloped(c.principal, topic, in.message.Payload))
	message, err := b.check(s, topic, in.header.Retain(), payload)
	if err != nil {
		b.refused(c, Refusal{Operation: "publish", Topic: topic, Reason: err.Error(), Missing: s.lacks(publish, topic)})
		// A job may say what only the service's word makes true, and hears of no error.
		return nil, outcome{refused: !errors.Is(err, errUnheard), own: true, all: true, heard: true}
	}
	p := &publication{
		from: c.principal, origin: c.id, topic: topic, payload: payload, qos: in.header.QoS(),
		passed: in.message.Passed, expiry: in.message.Expiry,
		message: message, received: time.Now(), size: max(in.header.Length, len(payload)),
	}
	if message != nil {
		// The envelope is what was checked: a response topic beside it was not.
		p.passed, p.expiry = nil, 0
	}
	o, missing = b.deliver(p)
	return missing, o
}

// acknowledge answers a publish. Version 5 is told what became of it, version
// 3.1.1 has no word for that (decision 19).
func (b *Broker) acknowledge(c *conn, in incoming, code packet.Code) {
	t := packet.Puback
	switch in.header.QoS() {
	case 0:
		return
	case 2:
		t = packet.Pubrec
		if code >= 0x80 && c.version == packet.Version5 {
			c.inbound.release(in.message.ID) // no PUBREL follows [MQTT-4.3.3-9]
		}
	}
	b.answer(c, packet.AppendAck(nil, t, c.version, in.message.ID, code))
}

// answer has p sent to c. A client that does not read what it is answered is not
// read either, until it does or has taken nothing for maxStall.
func (b *Broker) answer(c *conn, p []byte) {
	for !c.out.answer(p) {
		left, room := c.out.stalled()
		timer := time.NewTimer(left)
		select {
		case <-room:
		case <-c.done:
			timer.Stop()
			return
		case <-timer.C:
			b.cutSlow(c, errAnswersUnread)
		}
		timer.Stop()
	}
}

var errAnswersUnread = errors.New("it does not read what it is answered")
