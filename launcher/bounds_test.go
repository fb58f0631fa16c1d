package launcher

import (
	"strings"
	"testing"
	"testing/synctest"

	"kpm/core"
	"kpm/core/door"
)

// What policy has before it at once is bounded; who waits for it is refused in
// time, and gets through when others are decided.
func TestLongCommandLinesWaitForEachOther(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t)
		long := strings.Repeat("\x01", 100_000)
		first := w.elevate(w.submission("tool", long))
		second := w.begin(w.submission("tool", long))
		synctest.Wait()
		if len(w.bus.asks) != 0 {
			t.Fatal("the second was asked about while the first is not decided")
		}
		other := w.submission("tool", long)
		other.Peer.User = "0"
		v := w.elevate(other)
		v.answer(core.Deny)
		v.refused()

		first.answer(core.Deny)
		first.refused()
		second.asked = <-w.bus.asks
		second.id = second.asked.RequestID
		second.answer(core.Deny)
		second.refused()

		asked, err := w.asked.Take(t.Context(), "1000", maxUserAsked)
		if err != nil {
			t.Fatal(err)
		}
		if r := w.begin(w.submission("tool")).refused(); r.Code != door.CodeUnavailable {
			t.Errorf("whose turn does not come: %+v", r)
		}
		asked.Release()
		if w.asked.Taken() != 0 {
			t.Errorf("%d bytes are left", w.asked.Taken())
		}
	})
}
