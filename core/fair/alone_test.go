package fair

import (
	"testing"
	"testing/synctest"
	"time"
)

// Whoever is alone may have more. Who comes then has their part at once, and as long as
// they come again nobody gets more than theirs.
func TestWhoIsAloneMayHaveMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const each, alone = 2, 4
		s := NewSlots[string](Bounds{Each: each, All: 20, Alone: alone})
		served := make(chan *Slot[string], 20)
		var held []*Slot[string] // of the crowd
		wait := func(want int, when string) {
			t.Helper()
			synctest.Wait()
			for len(served) > 0 {
				held = append(held, <-served)
			}
			if len(held) != want {
				t.Errorf("%s the crowd has %d, want %d", when, len(held), want)
			}
		}
		release := func() {
			held[0].Release()
			held = held[1:]
		}
		for range 3 * alone {
			go func() {
				slot, err := s.Take(t.Context(), "crowd", 1)
				if err != nil {
					t.Error(err)
				}
				served <- slot
			}()
		}
		wait(alone, "alone")
		if _, err := s.TryTake("crowd", 1); err != ErrPersonFull {
			t.Errorf("more than that: %v", err)
		}
		var others []*Slot[string]
		for range each {
			slot, err := s.TryTake("other", 1)
			if err != nil {
				t.Fatalf("somebody else: %v", err)
			}
			others = append(others, slot)
		}
		if _, err := s.TryTake("other", 1); err != ErrPersonFull {
			t.Errorf("more than one person's part: %v", err)
		}
		release()
		wait(alone-1, "beside somebody else, when one of theirs was done,")
		release()
		release()
		wait(each, "beside somebody else")
		for _, slot := range others {
			slot.Release()
		}
		turn := func() { // one is done, and another one is let in
			release()
			synctest.Wait()
		}
		turn()
		wait(each, "after somebody else")
		time.Sleep(aloneAfter)
		turn()
		wait(alone, "alone again")
		for len(held) > 0 {
			release()
			synctest.Wait()
			for len(served) > 0 {
				held = append(held, <-served)
			}
		}
		if s.Taken() != 0 || len(s.waits) != 0 {
			t.Errorf("%d are taken, %v wait", s.Taken(), s.waits)
		}
	})
}

// Somebody who waits, though they have nothing yet, is not to wait for more than one
// person's part.
func TestNobodyIsAloneBesideWhoWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewSlots[string](Bounds{Each: 2, All: 3, Alone: 3})
		var crowd []*Slot[string]
		for range 3 {
			slot, err := s.TryTake("crowd", 1)
			if err != nil {
				t.Fatal(err)
			}
			crowd = append(crowd, slot)
		}
		other := make(chan *Slot[string])
		go func() {
			slot, err := s.Take(t.Context(), "other", 2)
			if err != nil {
				t.Error(err)
			}
			other <- slot
		}()
		synctest.Wait()
		crowd[0].Release() // 2 are left, and 1 is not enough for who waits
		if _, err := s.TryTake("crowd", 1); err != ErrPersonFull {
			t.Errorf("beside who waits: %v", err)
		}
		crowd[1].Release()
		(<-other).Release()
		crowd[2].Release()
	})
}
