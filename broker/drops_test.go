package broker

import (
	"testing"
	"testing/synctest"
	"time"
)

// lost sums what was dropped, whatever the cause.
func (s Stats) lost() (all uint64) {
	for _, n := range s.Dropped {
		all += n
	}
	return all
}

// dropped asserts that messages were dropped for one cause and for no other.
func (b *bus) dropped(c Cause, n uint64) {
	b.t.Helper()
	if s := b.Stats(); s.lost() != n || s.Dropped[c] != n {
		b.t.Errorf("dropped: %v, want %d for %s alone", s.Dropped, n, c)
	}
	if shown := b.Topics().Dropped; len(shown) != 1 || shown[0].Cause != string(c) || shown[0].Messages != n || shown[0].Why == "" {
		b.t.Errorf("shown: %+v", shown)
	}
}

func TestCausesAreTheDocumentedTable(t *testing.T) {
	rows := table(t, "What is dropped")
	if len(rows) != len(causes) || len(newDrops()) != len(causes) {
		t.Fatalf("docs/wire.md has %d rows, the code %d", len(rows), len(causes))
	}
	for i, c := range causes {
		if rows[i][0] != "`"+string(c.cause)+"`" || rows[i][1] != c.why {
			t.Errorf("row %d\ncode %v\ndocs %v", i+1, c, rows[i])
		}
	}
}

// A message that waits while its subscriber loses the right to hear it is not sent,
// and what comes after it is.
func TestRightsAreReevaluatedAtDelivery(t *testing.T) {
	b := newBus(t)
	sub, pub := newRaw(t, b.dial(bridge), 5), b.admitted(nosy, 5)
	sub.connect(connecting{id: bridge.id(), properties: []byte{0x21, 0, 1}}) // one at a time
	sub.subscribe("MyBridge", 1)
	sub.subscribe("MyBridge/Commands/+", 1)
	for i, m := range [][2]string{{"MyBridge", "on its way"}, {"MyBridge", "withheld"}, {"MyBridge/Commands/go", "still allowed"}} {
		if code := pub.sends(m[0], 1, uint16(i+1), m[1]); code != 0 {
			t.Fatalf("%s: reason code %#x", m[1], code)
		}
	}
	id, payload := sub.delivered("MyBridge")
	if payload != "on its way" {
		t.Fatalf("%q", payload)
	}
	deaf := bridge
	deaf.subscribe = []string{"MyBridge/Commands/+"}
	b.world.mu.Lock()
	b.members[deaf.pid] = deaf
	b.world.mu.Unlock()
	b.SetPlugins(nil)
	sub.send(framed(0x40, byte(id>>8), byte(id)))
	sub.expectDeliveries("MyBridge/Commands/go", "still allowed")
	b.dropped(RightsChanged, 1)
}

// What is dropped is counted by its cause. The other causes are counted in the tests
// of what they are about.
func TestDropsAreCountedByCause(t *testing.T) {
	bubble(t, func(t *testing.T, b *bus, ln *pipes) {
		b.SetPlugins([]Plugin{keeping(bridge)})
		pub := newRaw(t, ln.connect(nosy, nil), 5)
		defer pub.Close()
		pub.SetReadDeadline(time.Time{})
		pub.connect(connecting{id: nosy.id(), noKeepAlive: true})
		pub.sends("MyBridge", 1, 1, "kept")
		time.Sleep(keptLife + time.Second)
		b.dropped(KeptTooLong, 1) // without anybody who comes for it
		if s := b.Stats(); s.Kept != 1 || s.Delivered != 0 {
			t.Errorf("%+v", s)
		}
	})
	bubble(t, func(t *testing.T, b *bus, ln *pipes) {
		b.SetPlugins([]Plugin{keeping(bridge)})
		pub := newRaw(t, ln.connect(nosy, nil), 5)
		defer pub.Close()
		pub.connect(connecting{id: nosy.id()})
		pub.sends("MyBridge", 1, 1, "kept")
		b.SetPlugins(nil)
		b.dropped(KeptNoLonger, 1)
	})
	bubble(t, func(t *testing.T, b *bus, ln *pipes) {
		sub := newRaw(t, ln.connect(bridge, nil), 4)
		sub.connect(connecting{id: bridge.id()})
		sub.subscribe("MyBridge", 1)
		pub := newRaw(t, ln.connect(nosy, nil), 5)
		defer pub.Close()
		pub.connect(connecting{id: nosy.id()})
		for i := range maxUnacknowledged + 3 { // of which as many are on their way as may be
			pub.sends("MyBridge", 1, uint16(i+1), "x")
			if i < maxUnacknowledged {
				sub.delivered("MyBridge")
			}
		}
		sub.Close()
		synctest.Wait()
		b.dropped(ConnectionEnded, 3)
		if s := b.Stats(); s.Kept != 0 || s.Delivered != maxUnacknowledged+3 {
			t.Errorf("%+v", s)
		}
	})
}
