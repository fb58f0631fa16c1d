package broker

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"sync"
	"testing"
	"time"
)

// consume reads n messages on topic, each of which takes a while, and completes
// them; it returns the payloads' first bytes in the order they came.
func (r *raw) consume(topic string, n int, each time.Duration) (got []string, err error) {
	for open := 0; len(got) < n || open > 0; {
		first, body, err := r.next()
		if err != nil {
			return got, err
		}
		switch first >> 4 {
		case 3:
			time.Sleep(each)
			body = bytes.TrimPrefix(body, text(topic))
			payload, _, _ := bytes.Cut(body[2:], []byte("."))
			got = append(got, string(payload))
			answer := byte(0x40)
			if first&6 == 4 {
				answer = 0x50
				open++
			}
			r.Write(framed(answer, body[:2]...))
		case 6:
			r.Write(framed(0x70, body[:2]...))
			open--
		}
	}
	return got, nil
}

// feed publishes n messages on topic and completes each, with as many on their way
// as an eager client would have.
func (r *raw) feed(topic string, qos byte, n int, payload []byte) {
	acknowledged := make(chan struct{}, n)
	go func() { // ends with the last acknowledgement, or the connection
		for range n {
			for done := false; !done; {
				first, body, err := r.next()
				if err != nil {
					return
				}
				switch first >> 4 {
				case 5:
					r.Write(framed(0x62, body[:2]...))
				case 4, 7:
					done = true
				}
			}
			acknowledged <- struct{}{}
		}
	}()
	for i := range n {
		r.Write(r.publication(0x30|qos<<1, topic, uint16(i+1), append(fmt.Appendf(nil, "%d.", i), payload...)))
	}
	for range n {
		<-acknowledged
	}
}

func inOrder(t *testing.T, who string, got []string, n int) {
	t.Helper()
	if len(got) != n {
		t.Errorf("%s got %d of %d", who, len(got), n)
	}
	for i, payload := range got {
		if payload != fmt.Sprint(i) {
			t.Fatalf("%s got %s in place of %d", who, payload, i)
		}
	}
}

// One plugin needs 2 ms for each of 4,000 commands, beside others that need none:
// all get all, in order, and nobody waits for the slow one.
func TestASlowSubscriberBesideFastOnes(t *testing.T) {
	for _, qos := range []byte{1, 2} {
		bubble(t, func(t *testing.T, b *bus, ln *pipes) {
			const n = 4000
			start := time.Now()
			var wg sync.WaitGroup
			for i, each := range []time.Duration{2 * time.Millisecond, 0, 0, 0} {
				who := plugin(fmt.Sprint("Subscriber", i), 600+i, nil, []string{"work"})
				b.members[who.pid] = who
				sub := newRaw(t, ln.connect(who, nil), 4)
				sub.SetReadDeadline(time.Time{})
				sub.connect(connecting{id: who.id(), noKeepAlive: true})
				sub.subscribe("work", qos)
				defer sub.Close()
				wg.Go(func() {
					got, err := sub.consume("work", n, each)
					if err != nil {
						t.Errorf("%s: %v", who.id(), err)
					}
					inOrder(t, who.id(), got, n)
					if took := time.Since(start); each == 0 && took > 0 {
						t.Errorf("%s waited %v", who.id(), took)
					}
				})
			}
			pub := newRaw(t, ln.connect(nosy, nil), 4)
			pub.SetReadDeadline(time.Time{})
			pub.connect(connecting{id: nosy.id(), noKeepAlive: true})
			defer pub.Close()
			pub.feed("work", qos, n, make([]byte, 100))
			if waited := time.Since(start); waited > 0 {
				t.Errorf("the publisher waited %v", waited)
			}
			wg.Wait()
			if s := b.Stats(); s.SlowSubscribers != 0 || s.lost() != 0 {
				t.Errorf("%+v", s)
			}
		})
	}
}

// Two clients fill each other's queues at QoS 2, and one its own, with as many
// messages on their way as common clients have: each is read on while it waits, or
// neither's acknowledgements would ever come.
func TestFullQueuesBothWays(t *testing.T) {
	for name, topics := range map[string][2]string{"each other's": {"to/b", "to/a"}, "its own": {"to/a", "to/a"}} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, b *bus, ln *pipes) {
				const size, n = maxPacket / 4, 3 * maxQueuedBytes / (maxPacket / 4)
				clients := []member{plugin("A", 600, []string{"to/#"}, []string{"to/#"}), plugin("B", 601, []string{"to/#"}, []string{"to/#"})}
				if topics[0] == topics[1] {
					clients = clients[:1]
				}
				var open []*raw
				for i, who := range clients {
					b.members[who.pid] = who
					r := newRaw(t, ln.connect(who, nil), 4)
					defer r.Close()
					r.SetReadDeadline(time.Time{})
					r.connect(connecting{id: who.id(), noKeepAlive: true})
					r.subscribe(topics[1-i], 2)
					open = append(open, r)
				}
				var wg sync.WaitGroup
				for i, who := range clients {
					r, hears := open[i], topics[1-i]
					window := make(chan struct{}, 20)
					wg.Go(func() {
						for id := range n {
							window <- struct{}{}
							r.Write(r.publication(0x34, topics[i], uint16(id+1), make([]byte, size)))
						}
					})
					wg.Go(func() {
						heard, completed := 0, 0
						for heard < n || completed < n {
							first, body, err := r.next()
							if err != nil {
								t.Errorf("%s: %v; %d heard, %d completed", who.id(), err, heard, completed)
								return
							}
							switch first >> 4 {
							case 3:
								id := binary.BigEndian.Uint16(body[2+len(hears):])
								time.Sleep(maxStall / 100)
								r.Write(framed(0x50, byte(id>>8), byte(id)))
							case 5:
								r.Write(framed(0x62, body[:2]...))
							case 6:
								heard++
								r.Write(framed(0x70, body[:2]...))
							case 7:
								completed++
								<-window
							}
						}
					})
				}
				wg.Wait()
				if s := b.Stats(); s.SlowSubscribers != 0 || s.lost() != 0 {
					t.Errorf("%+v", s)
				}
			})
		})
	}
}
