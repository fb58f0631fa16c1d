package broker

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"strconv"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	paho3 "github.com/eclipse/paho.mqtt.golang"

	"kpm/core"
)

// closesAfter reports how long the other end keeps c open without hearing
// anything.
func closesAfter(t *testing.T, c net.Conn) time.Duration {
	t.Helper()
	start := time.Now()
	if n, err := io.Copy(io.Discard, c); err != nil || n != 0 {
		t.Errorf("read %d bytes, %v", n, err)
	}
	return time.Since(start)
}

// bubble runs f with a broker and its listener in fake time.
func bubble(t *testing.T, f func(t *testing.T, b *bus, ln *pipes), change ...func(*Config)) {
	synctest.Test(t, func(t *testing.T) {
		b, ln := newBus(t, change...), newPipes()
		if err := b.serveOn(ln, b.cfg.TLS); err != nil {
			t.Fatal(err)
		}
		f(t, b, ln)
	})
}

// Pitfall: mochi keeps a socket that says nothing for ever, at 70 KiB each.
func TestASilentSocketIsClosed(t *testing.T) {
	var ca string
	for _, tc := range []struct {
		name   string
		say    []byte
		change []func(*Config)
	}{
		{"nothing", nil, nil},
		{"one byte", []byte{0x10}, nil},
		{"a header", []byte{0x10, 0x20}, nil},
		{"half a CONNECT", connecting{id: bridge.id()}.encode(4)[:12], nil},
		{"nothing, before the TLS hello", nil, []func(*Config){certificate(t, &ca)}},
		{"half a TLS hello", []byte{0x16, 3, 1, 2, 0}, []func(*Config){certificate(t, &ca)}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, b *bus, ln *pipes) {
				c := ln.connect(bridge, nil)
				defer c.Close()
				c.Write(tc.say)
				if got := closesAfter(t, c); got != connectTimeout {
					t.Errorf("closed after %v, want %v", got, connectTimeout)
				}
			}, tc.change...)
		})
	}
}

func TestASilentSocketCostsLittle(t *testing.T) {
	b := newBus(t)
	path := b.local(bridge)
	before := runtime.NumGoroutine()
	for range maxWaitingPerUser {
		dialPath(t, path)
	}
	eventually(t, "accepted", func() bool { return b.Stats().Connections == maxWaitingPerUser })
	if grown := runtime.NumGoroutine() - before; grown > maxWaitingPerUser {
		t.Errorf("%d goroutines for %d sockets", grown, maxWaitingPerUser)
	}
}

// Pitfall: mochi believes any length that a stranger claims: four headers of
// five bytes made it allocate a gigabyte.
func TestAClaimedLengthAllocatesNothing(t *testing.T) {
	b := newBus(t)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for _, head := range [][]byte{
		{0x10, 0xff, 0xff, 0xff, 0x7f},         // CONNECT of 256 MiB
		{0x10, 0x81, 0x80, 0x04},               // of 64 KiB and a byte
		{0x10, 0xff, 0xff, 0xff, 0xff},         // a length without end
		{0x30, 0xff, 0xff, 0xff, 0x7f},         // PUBLISH of 256 MiB
		{0x00, 0x00}, {0xff, 0xff}, {'G', 'E'}, // not MQTT
	} {
		c := dialPath(t, b.local(bridge))
		if _, err := c.Write(head); err != nil {
			t.Fatal(err)
		}
		newRaw(t, c, 4).ended("a header that claims too much")
	}
	for _, version := range bothVersions { // and once admitted
		r := b.admitted(bridge, version)
		r.send([]byte{0x30, 0xff, 0xff, 0xff, 0x7f})
		r.ended("a packet that claims too much")
		eventually(t, "gone", func() bool { return b.Stats().Clients == 0 })
	}
	runtime.ReadMemStats(&after)
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 8<<20 {
		t.Errorf("%d bytes were allocated", grown)
	}
}

func TestTheLargestPacketPasses(t *testing.T) {
	b := newBus(t)
	heard := make(chan int, 1)
	sub, pub := b.admitted(logger, 4), b.admitted(bridge, 4)
	sub.subscribe("KeeperLogger", 1)
	go func() {
		_, body, _ := sub.next()
		heard <- len(body)
	}()
	payload := make([]byte, maxPacket-64)
	pub.publish("KeeperLogger", 1, 1, payload)
	pub.expect("PUBACK", 0x40)
	if got := receive(t, "the message", heard); got < len(payload) {
		t.Errorf("%d bytes arrived", got)
	}
	// Part of what follows may meet a closed socket; that is the point.
	pub.Write(pub.publication(0x32, "KeeperLogger", 2, make([]byte, maxPacket)))
	pub.ended("a packet beyond the limit")
}

func TestWaitingConnectionsPerUser(t *testing.T) {
	bubble(t, func(t *testing.T, b *bus, ln *pipes) {
		for range maxWaitingPerUser {
			defer ln.connect(alice, nil).Close()
		}
		synctest.Wait()
		if got := closesAfter(t, ln.connect(alice, nil)); got != 0 {
			t.Errorf("one more was closed after %v", got)
		}
		other := newRaw(t, ln.connect(bridge, nil), 4)
		defer other.Close()
		other.connect(connecting{id: bridge.id()})
		if got := b.Stats(); got.Connections != maxWaitingPerUser+1 || got.RefusedConnections != 1 {
			t.Errorf("%+v", got)
		}
	})
}

// However many people connect and say nothing: whoever comes and has fewer
// connections than they have gets in.
func TestSilentConnectionsGiveWay(t *testing.T) {
	bubble(t, func(t *testing.T, b *bus, ln *pipes) {
		const common = maxWaiting - asideWaiting
		var open []net.Conn
		for i := range common {
			who := alice
			who.User = core.UserID(strconv.Itoa(i / maxWaitingPerUser))
			open = append(open, ln.connect(who, nil))
		}
		synctest.Wait()
		if got := b.Stats().Connections; got != common {
			t.Fatalf("%d connections", got)
		}
		who := alice
		who.User = "another"
		open = append(open, ln.connect(who, nil))
		synctest.Wait()
		if got := b.Stats(); got.Connections != common || got.RefusedConnections != 0 {
			t.Errorf("somebody who has none: %+v", got)
		}
		for _, c := range open {
			c.Close()
		}
		synctest.Wait()
		if got := b.Stats(); got.Connections != 0 || b.waiting.Held() != 0 {
			t.Errorf("%+v, %d are counted", got, b.waiting.Held())
		}
	})
}

// Pitfall: mochi's listeners stop for ever at the first error of Accept.
func TestAcceptOutlivesErrors(t *testing.T) {
	b := newBus(t)
	ln, err := net.Listen("unix", b.dir+"/s")
	if err != nil {
		t.Fatal(err)
	}
	var failures atomic.Int32
	lobby := &lobby{Listener: ln, who: bridge, fail: func() error {
		if failures.Add(1) <= 5 {
			return errors.New("too many open files")
		}
		return nil
	}}
	if err := b.ServeLocal(lobby); err != nil {
		t.Fatal(err)
	}
	r := newRaw(t, dialPath(t, b.dir+"/s"), 4)
	if code := r.connect(connecting{id: bridge.id()}); code != 0 {
		t.Errorf("CONNACK %#x", code)
	}
	if got := b.Stats().AcceptErrors; got != 5 {
		t.Errorf("%d errors counted", got)
	}
}

// A broker whose Accept fails for good can still be closed.
func TestCloseWhileAcceptFails(t *testing.T) {
	bubble(t, func(t *testing.T, b *bus, _ *pipes) {
		broken := &lobby{Listener: newPipes(), fail: func() error { return errors.New("broken") }}
		if err := b.ServeLocal(broken); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if got := b.Stats().AcceptErrors; got < 60 || got > 80 {
			t.Errorf("%d attempts in a minute", got)
		}
	})
}

// The keep-alive is enforced; a client that falls silent frees its client id.
func TestAClientThatFallsSilentIsCut(t *testing.T) {
	bubble(t, func(t *testing.T, b *bus, ln *pipes) {
		c := ln.connect(bridge, nil)
		defer c.Close()
		r := newRaw(t, c, 4)
		c.SetReadDeadline(time.Time{})
		if code := r.connect(connecting{id: bridge.id(), keepAlive: 10}); code != 0 {
			t.Fatalf("CONNACK %#x", code)
		}
		time.Sleep(14 * time.Second)
		r.alive()
		if got := closesAfter(t, c); got != 15*time.Second {
			t.Errorf("closed after %v", got)
		}
	})
}

// Pitfall: a subscriber that stops reading blocks whoever publishes to it, and
// through them everybody. Here it is cut, and nobody waits at all.
func TestAStalledSubscriberHoldsUpNobody(t *testing.T) {
	for _, version := range bothVersions {
		bubble(t, func(t *testing.T, b *bus, ln *pipes) {
			stalled := newRaw(t, ln.connect(logger, nil), version)
			stalled.connect(connecting{id: logger.id()})
			stalled.subscribe("KeeperLogger", 1)
			pub := newRaw(t, ln.connect(bridge, nil), version)
			pub.connect(connecting{id: bridge.id()})
			defer pub.Close()
			start := time.Now()
			for i := range 100 {
				pub.publish("KeeperLogger", 1, uint16(i+1), []byte("line"))
				pub.expect("PUBACK", 0x40)
			}
			if waited := time.Since(start); waited != 0 {
				t.Errorf("the publisher waited %v", waited)
			}
			time.Sleep(writeTimeout + time.Millisecond)
			if got := b.Stats(); got.Clients != 1 {
				t.Errorf("the stalled subscriber is still there: %+v", got)
			}
		})
	}
}

// Nor does it help to send: what counts is whether it reads.
func TestAStalledSubscriberThatTalks(t *testing.T) {
	bubble(t, func(t *testing.T, b *bus, ln *pipes) {
		stalled := newRaw(t, ln.connect(logger, nil), 4)
		stalled.connect(connecting{id: logger.id()})
		stalled.subscribe("KeeperLogger", 1)
		if err := b.PublishAs(t.Context(), bridge.Principal, "KeeperLogger", []byte("line")); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		for err := error(nil); err == nil; time.Sleep(time.Second / 2) {
			_, err = stalled.Write(packet(0xc0))
		}
		if took := time.Since(start); took > writeTimeout+time.Second {
			t.Errorf("cut after %v", took)
		}
	})
}

// The same over TLS, where closing politely would take five more seconds.
func TestAStalledSubscriberOverTLS(t *testing.T) {
	var ca string
	bubble(t, func(t *testing.T, b *bus, ln *pipes) {
		stalled := newRaw(t, tls.Client(ln.connect(logger, nil), &tls.Config{InsecureSkipVerify: true}), 4)
		stalled.connect(connecting{id: logger.id()})
		stalled.subscribe("KeeperLogger", 1)
		if err := b.PublishAs(t.Context(), bridge.Principal, "KeeperLogger", []byte("line")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(writeTimeout + time.Millisecond)
		if got := b.Stats(); got.Connections != 0 {
			t.Errorf("the stalled subscriber is still there: %+v", got)
		}
	}, certificate(t, &ca))
}

// Pitfall: mochi drops what does not fit into a subscriber's queue, in silence.
func TestASubscriberWithAFullQueueIsCut(t *testing.T) {
	for _, tc := range []struct {
		name    string
		payload int
		most    int // messages that fit
	}{
		{"messages", 1, maxQueuedMessages},
		{"bytes", 1 << 20 / 2, maxQueuedBytes / (1 << 20 / 2)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, b *bus, ln *pipes) {
				slow := newRaw(t, ln.connect(logger, nil), 4)
				slow.connect(connecting{id: logger.id()})
				slow.subscribe("KeeperLogger", 0)
				sent := 0
				for ; b.Stats().SlowSubscribers == 0 && sent < 100*maxQueuedMessages; sent++ {
					b.PublishAs(t.Context(), bridge.Principal, "KeeperLogger", make([]byte, tc.payload))
				}
				// One batch may be on its way besides the queue.
				if sent < tc.most || sent > tc.most+1+writeAhead/tc.payload {
					t.Errorf("cut after %d messages", sent)
				}
				synctest.Wait()
				if got := b.Stats(); got.Clients != 0 || got.SlowSubscribers != 1 {
					t.Errorf("%+v", got)
				}
			})
		})
	}
}

// A publisher that is faster than a subscriber is slowed down, and nothing is
// lost; acknowledged or not.
func TestABurstIsNotLost(t *testing.T) {
	for qos := range byte(3) {
		b := newBus(t)
		sub := client3(t, "unix://"+b.local(logger), "", logger)
		const n = 2000
		heard := make(chan int, n)
		token := sub.Subscribe("KeeperLogger", qos, func(_ paho3.Client, m paho3.Message) { heard <- len(m.Payload()) })
		if !token.WaitTimeout(patience) || token.Error() != nil {
			t.Fatal(token.Error())
		}
		pub := b.admitted(bridge, 4)
		go io.Copy(io.Discard, pub) // ends with the connection
		var burst bytes.Buffer
		for i := range n {
			burst.Write(pub.publication(0x30|qos<<1, "KeeperLogger", uint16(i+1), make([]byte, 500)))
			if qos == 2 {
				burst.Write(packet(0x62, byte((i+1)>>8), byte(i+1)))
			}
		}
		pub.send(burst.Bytes())
		for i := range n {
			receive(t, fmt.Sprintf("QoS %d message %d, %+v", qos, i, b.Stats()), heard)
		}
	}
}

// But not for ever: a subscriber that cannot keep up is cut, and one that a user
// controls holds up nobody at all.
func TestPatienceWithASlowSubscriberIsBounded(t *testing.T) {
	for _, tc := range []struct {
		who   member
		topic string
		pace  time.Duration // of reading; 0 is not at all
		wait  time.Duration // of the publisher
	}{
		{logger, "KeeperLogger", 0, maxHold},
		{logger, "KeeperLogger", 50 * time.Millisecond, maxHold},
		{desktop, "KeeperClient", 0, 0},
		{desktop, "KeeperClient", 50 * time.Millisecond, 0},
	} {
		bubble(t, func(t *testing.T, b *bus, ln *pipes) {
			slow := newRaw(t, ln.connect(tc.who, nil), 4)
			slow.connect(connecting{id: tc.who.id()})
			slow.subscribe(tc.topic, 1)
			pub := newRaw(t, ln.connect(nosy, nil), 4)
			pub.connect(connecting{id: nosy.id()})
			defer pub.Close()
			start := time.Now()
			read := make(chan struct{})
			go func() {
				defer close(read)
				for tc.pace > 0 {
					time.Sleep(tc.pace)
					_, body, err := slow.next()
					if err != nil {
						return
					}
					at := 2 + len(tc.topic)
					slow.Write(packet(0x40, body[at:at+2]...))
				}
			}()
			sent := 0
			for ; b.Stats().SlowSubscribers == 0 && sent < 2*maxQueuedMessages; sent++ {
				pub.publish(tc.topic, 0, 0, make([]byte, writeAhead/2))
				synctest.Wait()
			}
			pub.alive()
			if sent < maxQueuedMessages {
				t.Errorf("%s: cut after %d messages", tc.who.id(), sent)
			}
			if waited := time.Since(start); waited != tc.wait {
				t.Errorf("%s: the publisher waited %v, want %v", tc.who.id(), waited, tc.wait)
			}
			<-read
		})
	}
}

func TestCloseEndsEverything(t *testing.T) {
	b := newBus(t)
	v4, v5, waiting := b.admitted(bridge, 4), b.admitted(logger, 5), newRaw(t, b.dial(alice), 4)
	eventually(t, "all accepted", func() bool { return b.Stats().Connections == 3 })
	if err := b.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if body := v5.expect("DISCONNECT", 0xe0); body[0] != 0x8b {
		t.Errorf("DISCONNECT %#x", body[0])
	}
	for _, r := range []*raw{v4, v5, waiting} {
		r.ended("after Close")
	}
	if err := b.ServeLocal(newPipes()); !errors.Is(err, ErrClosed) {
		t.Errorf("serve after Close: %v", err)
	}
	if err := b.Close(t.Context()); err != nil {
		t.Errorf("second Close: %v", err)
	}
}
