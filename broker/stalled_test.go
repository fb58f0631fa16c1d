package broker

import (
	"crypto/tls"
	"testing"
	"testing/synctest"
	"time"
)

// A subscriber that stops reading holds up nobody as long as its queue has room,
// and is left alone: it may be busy.
func TestAStalledSubscriberHoldsUpNobody(t *testing.T) {
	for _, version := range bothVersions {
		bubble(t, func(t *testing.T, b *bus, ln *pipes) {
			stalled := newRaw(t, ln.connect(logger, nil), version)
			defer stalled.Close()
			stalled.connect(connecting{id: logger.id()})
			stalled.subscribe("KeeperLogger", 1)
			pub := newRaw(t, ln.connect(bridge, nil), version)
			pub.connect(connecting{id: bridge.id(), keepAlive: 65535})
			defer pub.Close()
			start := time.Now()
			for i := range 1000 {
				pub.publish("KeeperLogger", 1, uint16(i+1), []byte("line"))
				pub.expect("PUBACK", 0x40)
			}
			if waited := time.Since(start); waited != 0 {
				t.Errorf("the publisher waited %v", waited)
			}
			time.Sleep(maxStall + time.Second)
			for i := range maxUnacknowledged {
				if _, payload := stalled.delivered("KeeperLogger"); payload != "line" {
					t.Fatalf("delivery %d: %q", i, payload)
				}
			}
		})
	}
}

// Several subscribers that stall, each with a full queue, hold a publisher up once
// and not one after the other; then they are cut.
func TestStalledSubscribersShareOneDeadline(t *testing.T) {
	bubble(t, func(t *testing.T, b *bus, ln *pipes) {
		stalled := []member{logger, plugin("Second", 120, nil, []string{"KeeperLogger"}), plugin("Third", 121, nil, []string{"KeeperLogger"})}
		for _, who := range stalled {
			b.members[who.pid] = who
			r := newRaw(t, ln.connect(who, nil), 4)
			defer r.Close()
			r.connect(connecting{id: who.id()})
			r.subscribe("KeeperLogger", 1)
		}
		healthy := newRaw(t, ln.connect(nosy, nil), 4)
		defer healthy.Close()
		healthy.connect(connecting{id: nosy.id()})
		healthy.subscribe("#", 0)
		read := make(chan int)
		go func() {
			n := 0
			for {
				if _, _, err := healthy.next(); err != nil {
					read <- n
					return
				}
				n++
			}
		}()
		pub := newRaw(t, ln.connect(bridge, nil), 5)
		pub.connect(connecting{id: bridge.id()})
		defer pub.Close()
		start, refused := time.Now(), 0
		const n = maxQueuedBytes/(maxPacket/2) + 8
		for i := range n {
			pub.publish("KeeperLogger", 1, uint16(i+1), make([]byte, maxPacket/2))
			if body := pub.expect("PUBACK", 0x40); len(body) > 2 && body[2] == 0x97 {
				refused++
			}
		}
		if waited := time.Since(start); waited != maxStall {
			t.Errorf("the publisher waited %v, want %v", waited, maxStall)
		}
		// The message that it waited for did not reach everybody.
		if refused != 1 {
			t.Errorf("%d messages were answered 0x97", refused)
		}
		synctest.Wait()
		if s := b.Stats(); s.SlowSubscribers != uint64(len(stalled)) || s.Clients != 2 || s.Dropped[QueueFull] != uint64(len(stalled)) || s.Dropped[ConnectionEnded] == 0 {
			t.Errorf("%+v", s)
		}
		healthy.Close()
		if got := <-read; got != n {
			t.Errorf("the healthy one got %d of %d", got, n)
		}
	})
}

// The service waits for nobody: a queue that is full when it speaks is a
// subscriber's end. Nor does it help over TLS, where closing politely would take
// five more seconds.
func TestASubscriberWithAFullQueueIsCut(t *testing.T) {
	var ca string
	for name, change := range map[string][]func(*Config){"plain": nil, "TLS": {certificate(t, &ca)}} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, b *bus, ln *pipes) {
				c := ln.connect(logger, nil)
				if change != nil {
					c = tls.Client(c, &tls.Config{InsecureSkipVerify: true})
				}
				slow := newRaw(t, c, 4)
				slow.connect(connecting{id: logger.id()})
				slow.subscribe("KeeperLogger", 0)
				const payload, most = maxPacket / 2, maxQueuedBytes / (maxPacket / 2)
				sent := 0
				for ; b.Stats().SlowSubscribers == 0 && sent < 10*most; sent++ {
					b.PublishAs(t.Context(), bridge.Principal, "KeeperLogger", make([]byte, payload))
				}
				// One batch may be on its way besides the queue.
				if sent < most || sent > most+2 {
					t.Errorf("cut after %d messages", sent)
				}
				synctest.Wait()
				if got := b.Stats(); got.Clients != 0 || got.SlowSubscribers != 1 {
					t.Errorf("%+v", got)
				}
			}, change...)
		})
	}
}

// A subscriber that is slow and takes something again and again is waited for
// without end; one that takes nothing is not; and one that a user controls holds
// up nobody at all.
func TestPatienceWithASlowSubscriber(t *testing.T) {
	for _, tc := range []struct {
		who   member
		topic string
		pace  time.Duration // of reading; 0 is not at all
		cut   bool
	}{
		{logger, "KeeperLogger", 0, true},
		{logger, "KeeperLogger", maxStall / 2, false},
		{desktop, "KeeperClient", 0, true},
		{desktop, "KeeperClient", maxStall / 2, true},
	} {
		bubble(t, func(t *testing.T, b *bus, ln *pipes) {
			slow := newRaw(t, ln.connect(tc.who, nil), 4)
			slow.SetReadDeadline(time.Time{})
			slow.connect(connecting{id: tc.who.id(), noKeepAlive: true})
			slow.subscribe(tc.topic, 1)
			pub := newRaw(t, ln.connect(nosy, nil), 4)
			pub.SetReadDeadline(time.Time{})
			pub.connect(connecting{id: nosy.id(), noKeepAlive: true})
			defer pub.Close()
			read := make(chan int)
			go func() {
				n := 0
				for ; tc.pace > 0; n++ {
					time.Sleep(tc.pace)
					_, body, err := slow.next()
					if err != nil {
						break
					}
					at := 2 + len(tc.topic)
					slow.Write(framed(0x40, body[at:at+2]...))
				}
				read <- n
			}()
			start := time.Now()
			const n = 2 * maxQueuedBytes / (maxPacket / 2)
			for i := range n {
				pub.publish(tc.topic, 1, uint16(i+1), make([]byte, maxPacket/2))
				pub.expect("PUBACK", 0x40)
			}
			waited := time.Since(start)
			if cut := b.Stats().SlowSubscribers > 0; cut != tc.cut {
				t.Errorf("%s, pace %v: cut is %v after %v", tc.who.id(), tc.pace, cut, waited)
			}
			if tc.who.InUserSession && waited != 0 {
				t.Errorf("%s: the publisher waited %v", tc.who.id(), waited)
			}
			if !tc.cut {
				time.Sleep(n * tc.pace)
			}
			slow.Close()
			if got := <-read; !tc.cut && got != n {
				t.Errorf("%s got %d of %d", tc.who.id(), got, n)
			}
		})
	}
}
