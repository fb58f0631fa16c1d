package broker

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"kpm/core"
	"kpm/core/wire"
)

// Publish says m as the service, under the same rules as everyone. It does not
// wait for any subscriber. The error wraps ErrRefused, ErrBusy or ErrClosed;
// ErrBusy is about a question for policy, and what the service itself would
// have heard.
func (b *Broker) Publish(ctx context.Context, topic string, m wire.RequestMessage) error {
	payload, err := m.Encode()
	if err != nil {
		return fmt.Errorf("broker: publish: %w", err)
	}
	s := speaker{principal: core.ServicePrincipal()}
	if restricted(topic) {
		err = b.checkMessage(&s, topic, m)
	} else {
		_, err = b.check(&s, topic, false, payload)
	}
	if err != nil {
		return b.refusePublish(&s, topic, err)
	}
	return b.say(ctx, &publication{from: s.principal, topic: topic, payload: payload, message: &m, only: addressee(topic, m)}, ownAlone(topic))
}

// addressee is whom a message of the service's is for; empty is everybody. Attack: a
// plugin that shows people what is for them runs in each user's session, as that user,
// who reads there what others have asked for and were refused.
func addressee(topic string, m wire.RequestMessage) core.UserID {
	var n wire.Notice
	if topic != wire.TopicClient || m.Type != wire.TypeNotice || m.Read(wire.TypeNotice, &n) != nil {
		return ""
	}
	return n.UserID
}

// ownAlone reports whether a message of the service's on topic has arrived when
// the service itself has heard it. Attack: a plugin that subscribes to events
// and does not read would fail whatever waits for a job that an event starts.
// A question for policy has one subscriber, and has to reach it.
func ownAlone(topic string) bool { return topic != wire.TopicPolicy }

// PublishAs says payload as p, with what p's file declares: for what the
// service does on behalf of a job, such as its publish-mqtt tasks. Otherwise as
// Publish. What the table says is delivered to nobody is counted, and no error.
func (b *Broker) PublishAs(ctx context.Context, p core.Principal, topic string, payload []byte) error {
	s := newSpeaker(p, b.cfg.Topics)
	payload = b.logged(p, topic, enveloped(p, topic, payload))
	if len(payload) > wire.MaxMessage {
		return b.refusePublish(&s, topic, fmt.Errorf("message of %d bytes, the limit is %d", len(payload), wire.MaxMessage))
	}
	m, err := b.check(&s, topic, false, payload)
	if errors.Is(err, errUnheard) {
		b.stats.refusedPublishes.Add(1)
		b.cfg.Log.Debug("broker: a message is acknowledged and delivered to nobody", "principal", p.String(), "topic", topic, "reason", err)
		return nil
	}
	if err != nil {
		return b.refusePublish(&s, topic, err)
	}
	return b.say(ctx, &publication{from: p, topic: topic, payload: payload, message: m}, false)
}

func (b *Broker) refusePublish(s *speaker, topic string, reason error) error {
	b.stats.refusedPublishes.Add(1)
	b.noteRefusal(s.principal, Refusal{Operation: "publish", Topic: topic, Reason: reason.Error(), Missing: s.lacks(publish, topic)})
	return fmt.Errorf("broker: publish on %s as %s: %w: %w", brief(topic), s.principal, ErrRefused, reason)
}

// say delivers m. ownAlone is true if no connection need have room for it.
func (b *Broker) say(ctx context.Context, m *publication, ownAlone bool) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("broker: publish: %w", err)
	}
	select {
	case <-b.done:
		return fmt.Errorf("broker: publish: %w", ErrClosed)
	default:
	}
	// Nothing is sent twice, so QoS 1 is exactly once for as long as the
	// subscriber is connected.
	m.qos, m.received, m.size = 1, time.Now(), len(m.payload)
	if got, _ := b.deliver(m); !got.own || !got.all && !ownAlone {
		return fmt.Errorf("broker: publish on %s: %w", m.topic, ErrBusy)
	}
	return nil
}

// ownSubscription is one end of the bus inside the service.
type ownSubscription struct {
	filter string
	queue  chan *publication
	queued atomic.Int64 // bytes
}

// Subscribe calls h for every message whose topic filter covers, in the order of
// publication, on a goroutine of this subscription until Close. from is who
// published, as established when it connected; m is never malformed. Messages
// that arrive while too many wait are dropped and counted, so that h can never
// hold up a publisher; a request that misses its answer ends by its deadline.
//
// The table of authority topics does not limit the service itself.
func (b *Broker) Subscribe(filter string, h func(from core.Principal, topic string, m wire.RequestMessage)) error {
	if !wire.ValidFilter(filter) {
		return fmt.Errorf("broker: subscribe: %q is not a topic filter", filter)
	}
	s := &ownSubscription{filter: filter, queue: make(chan *publication, maxLocal)}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return fmt.Errorf("broker: subscribe: %w", ErrClosed)
	}
	old := *b.local.Load()
	subscriptions := append(old[:len(old):len(old)], s)
	b.local.Store(&subscriptions)
	b.wg.Go(func() { b.hear(s, h) })
	return nil
}

func (s *ownSubscription) put(m *publication) bool {
	if s.queued.Add(m.cost()) > maxQueuedBytes {
		s.queued.Add(-m.cost())
		return false
	}
	select {
	case s.queue <- m:
		return true
	default:
		s.queued.Add(-m.cost())
		return false
	}
}

func (b *Broker) hear(s *ownSubscription, h func(core.Principal, string, wire.RequestMessage)) {
	for {
		select {
		case m := <-s.queue:
			s.queued.Add(-m.cost())
			message := m.message
			if message == nil {
				decoded, err := wire.Decode(m.payload)
				if err != nil {
					b.stats.malformed.Add(1)
					continue
				}
				message = &decoded
			}
			h(m.from, m.topic, *message)
		case <-b.done:
			return
		}
	}
}
