package broker

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"
	"time"

	"kpm/core"
)

// Attack: a client subscribes without end.
func TestSubscriptionsAreBounded(t *testing.T) {
	b := newBus(t)
	r := b.admitted(nosy, 4)
	body := []byte{0, 1}
	for i := range maxSubscriptions + 10 {
		body = append(append(body, text(fmt.Sprint("t", i))...), 1)
	}
	r.send(framed(0x82, body...))
	codes := r.expect("SUBACK", 0x90)[2:]
	for i, code := range codes {
		if want := byte(1); i >= maxSubscriptions {
			want = 0x80
			if code != want {
				t.Errorf("filter %d: %#x", i, code)
			}
		} else if code != want {
			t.Errorf("filter %d: %#x", i, code)
		}
	}
	if code := r.subscribe("t0", 2); code != 2 {
		t.Errorf("again: %#x", code)
	}
}

// A publisher may leave every packet id unreleased: what is remembered of a
// message is its id.
func TestUnreleasedMessagesAreNoFault(t *testing.T) {
	b := newBus(t)
	r := b.admitted(bridge, 4)
	var flood bytes.Buffer
	for id := 1; id <= maxUnreleased; id++ {
		flood.Write(r.publication(0x34, "KeeperLogger", uint16(id), nil))
	}
	go r.Write(flood.Bytes())
	for id := 1; id <= maxUnreleased; id++ {
		if body := r.expect("PUBREC", 0x50); binary.BigEndian.Uint16(body) != uint16(id) {
			t.Fatalf("PUBREC %x, want %d", body, id)
		}
	}
	r.alive()
}

// Attack: a client fills the disk by being refused, and reconnects whenever its
// refusals are no longer logged.
func TestReconnectingLogsNoMore(t *testing.T) {
	var log records
	bubble(t, func(t *testing.T, _ *bus, ln *pipes) {
		for range 3 {
			r := newRaw(t, ln.connect(bridge, nil), 4)
			r.connect(connecting{id: bridge.id()})
			for range 2 * logPerWindow {
				r.publish("Nosy/x", 1, 1, []byte("x"))
				r.expect("PUBACK", 0x40)
			}
			r.Close()
		}
		if got := strings.Count(log.String(), "publish refused"); got != logPerWindow {
			t.Errorf("%d records", got)
		}
	}, logTo(&log))
}

// Attack: somebody is refused again and again, so that nothing is logged when
// another is.
func TestNobodysRefusalsHideAnothers(t *testing.T) {
	l := newLogLimit[core.UserID]()
	written := 0
	for range 10 * logPerWindow {
		if ok, _ := l.allow("1000"); ok {
			written++
		}
	}
	if written != logPerWindow {
		t.Errorf("%d records about one", written)
	}
	if ok, suppressed := l.allow("1001"); !ok || suppressed != 9*logPerWindow {
		t.Errorf("about another: %v, %d suppressed", ok, suppressed)
	}
}

// Refusals are logged, so many and no more; each is counted.
func TestRefusalsAreLoggedWithinReason(t *testing.T) {
	var log records
	bubble(t, func(t *testing.T, b *bus, ln *pipes) {
		r := newRaw(t, ln.connect(bridge, nil), 4)
		defer r.Close()
		r.connect(connecting{id: bridge.id()})
		flood := func(n int) {
			for range n {
				r.publish("Nosy/\x1b[31mx", 1, 1, []byte("x"))
				r.expect("PUBACK", 0x40)
			}
		}
		flood(100)
		time.Sleep(logWindow)
		flood(1)
		if got := strings.Count(log.String(), "publish refused"); got != logPerWindow+1 {
			t.Errorf("%d records", got)
		}
		if !strings.Contains(log.String(), "suppressed=90") || strings.Contains(log.String(), "\x1b") {
			t.Errorf("log: %s", log.String())
		}
		if got := b.Stats().RefusedPublishes; got != 101 {
			t.Errorf("%d counted", got)
		}
	}, logTo(&log))
}

// Properties count towards what a slow subscriber makes us keep.
func TestLargePropertiesFillAQueue(t *testing.T) {
	bubble(t, func(t *testing.T, b *bus, ln *pipes) {
		slow := newRaw(t, ln.connect(desktop, nil), 5)
		slow.connect(connecting{id: desktop.id()})
		slow.subscribe("KeeperClient", 0)
		pub := newRaw(t, ln.connect(nosy, nil), 5)
		defer pub.Close()
		pub.connect(connecting{id: nosy.id()})
		property := append(append([]byte{0x26}, text("")...), text(strings.Repeat("v", 60_000))...)
		large := binary.AppendUvarint(text("KeeperClient"), uint64(len(property)))
		large = framed(0x30, append(large, property...)...)
		sent := 0
		for ; b.Stats().SlowSubscribers == 0 && sent < maxQueuedBytes; sent++ {
			pub.send(large)
			pub.alive()
		}
		if most := maxQueuedBytes/60_000 + 2; sent > most {
			t.Errorf("cut after %d messages, want at most %d", sent, most)
		}
	})
}
