package launcher

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"kpm/core"
	"kpm/core/door"
)

func TestQuestionsTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turns := newTurns(maxAsked, maxUserAsked)
		take := func(user core.UserID, n int) func() {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			done, err := turns.take(ctx, user, n)
			if err != nil && !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("take: %v", err)
			}
			return done
		}
		mine := take("1000", maxUserAsked)
		if take("1000", 1) != nil {
			t.Error("one user has more than their part")
		}
		var all []func()
		for _, user := range []core.UserID{"1", "2", "3", "4", "5"} {
			all = append(all, take(user, 100*maxUserAsked)) // whatever its size, it comes through alone
		}
		if take("6", 1) != nil {
			t.Error("all users together have more than there is")
		}
		waiting := make(chan func())
		go func() { waiting <- take("6", 1) }()
		synctest.Wait()
		mine()
		mine() // once
		all = append(all, <-waiting, take("1000", 1))
		for _, done := range all {
			if done == nil {
				t.Fatal("there was no room")
			}
			done()
		}
		if turns.total != 0 || len(turns.perUser) != 0 {
			t.Errorf("%d bytes, %v", turns.total, turns.perUser)
		}
	})
}

// What policy has before it at once is bounded; who waits for it is refused in
// time, and gets through when others are decided.
func TestLongCommandLinesWaitForEachOther(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t)
		long := strings.Repeat("\x01", 100_000)
		first := w.elevate(w.knock("tool", long))
		second := w.begin(w.knock("tool", long))
		synctest.Wait()
		if len(w.bus.asks) != 0 {
			t.Fatal("the second was asked about while the first is not decided")
		}
		other := w.knock("tool", long)
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

		done, err := w.turns.take(t.Context(), "1000", maxUserAsked)
		if err != nil {
			t.Fatal(err)
		}
		if r := w.begin(w.knock("tool")).refused(); r.Code != door.CodeUnavailable {
			t.Errorf("whose turn does not come: %+v", r)
		}
		done()
		if w.turns.total != 0 {
			t.Errorf("%d bytes are left", w.turns.total)
		}
	})
}
