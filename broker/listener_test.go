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

// Attack: connect and say nothing.
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

// Attack: claim a length of 256 MiB, in five bytes.
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

// Pitfall: a listener that stops for ever at the first error of Accept.
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
				burst.Write(framed(0x62, byte((i+1)>>8), byte(i+1)))
			}
		}
		pub.send(burst.Bytes())
		for i := range n {
			receive(t, fmt.Sprintf("QoS %d message %d, %+v", qos, i, b.Stats()), heard)
		}
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

// The end of a TLS handshake is acknowledged at once, and each packet is a record
// of its own: a client that waits for a socket to become readable must not have
// read a second packet together with the first.
func TestTLSIsKindToSimpleClients(t *testing.T) {
	var ca string
	b := newBus(t, certificate(t, &ca))
	socket, err := net.Dial("tcp", b.overTLS(nosy))
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	records := &recording{Conn: socket}
	r := newRaw(t, tls.Client(records, &tls.Config{InsecureSkipVerify: true}), 4)
	r.connect(connecting{id: nosy.id()})
	if got := b.prompted.Load(); got != 1 {
		t.Errorf("the handshake was acknowledged at once %d times", got)
	}
	r.subscribe("x", 0)
	before := records.count()
	const n = 20
	for range n {
		r.publish("x", 0, 0, []byte("x"))
	}
	for range n {
		r.expect("a delivery", 0x30)
	}
	if got := records.count() - before; got != n {
		t.Errorf("%d packets came in %d records", n, got)
	}
}

// recording counts the TLS records that are read.
type recording struct {
	net.Conn
	left int // bytes of the present record
	head []byte
	n    int
}

func (r *recording) count() int { return r.n }

func (r *recording) Read(p []byte) (int, error) {
	n, err := r.Conn.Read(p)
	for b := p[:n]; len(b) > 0; {
		if r.left == 0 {
			r.head = append(r.head, b[0])
			if b = b[1:]; len(r.head) == 5 {
				r.left, r.head = int(r.head[3])<<8|int(r.head[4]), nil
				r.n++
			}
			continue
		}
		take := min(r.left, len(b))
		r.left, b = r.left-take, b[take:]
	}
	return n, err
}
