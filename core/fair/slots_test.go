package fair

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestSlotsHaveTwoBounds(t *testing.T) {
	const each, all = 10, 40
	s := NewSlots[string](Bounds{Each: each, All: all})
	refused := func(who string, n int64, want error) {
		t.Helper()
		if _, err := s.TryTake(who, n); err != want {
			t.Errorf("%d for %s: %v, want %v", n, who, err, want)
		}
	}
	take := func(who string) *Slot[string] {
		t.Helper()
		slot, err := s.TryTake(who, each)
		if err != nil {
			t.Errorf("no room for %s: %v", who, err)
		}
		return slot
	}
	refused("1", -1, ErrPersonFull)
	refused("1", each+1, ErrPersonFull)
	first := take("1")
	refused("1", 1, ErrPersonFull)
	for _, who := range []string{"2", "3", "4"} {
		take(who)
	}
	refused("1", 1, ErrPersonFull) // whoever has enough is told so
	refused("5", 1, ErrFull)
	first.Release()
	first.Release() // once
	if take("5"); s.Taken() != all || len(s.people) != 4 {
		t.Errorf("%d are taken, by %v", s.Taken(), s.people)
	}
}

// However many people there are: those who come first find room.
func TestAPartIsSetAside(t *testing.T) {
	s := NewSlotsFor(Bounds{Each: 2, All: 5, Aside: 2}, func(who string) bool { return who == "root" })
	for _, who := range []string{"1", "2", "3"} {
		if _, err := s.TryTake(who, 1); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.TryTake("4", 1); err != ErrFull {
		t.Errorf("a fourth of those who do not come first: %v", err)
	}
	if _, err := s.Take(t.Context(), "4", 4); err != ErrPersonFull {
		t.Errorf("more than there ever is: %v", err)
	}
	root, err := s.TryTake("root", 2)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.TryTake("root", 1); err != ErrPersonFull {
		t.Errorf("more than one of them may have: %v", err)
	}
	root.Release()
	(*Slot[string])(nil).Release()
	if s.Taken() != 3 || s.common != 3 {
		t.Errorf("%d and %d are taken", s.Taken(), s.common)
	}
}

func TestWhoComesFirstWaitsForNobodyElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewSlotsFor(Bounds{Each: 2, All: 2, Aside: 1}, func(who string) bool { return who == "root" })
		one, err := s.TryTake("1", 1)
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			if _, err := s.Take(t.Context(), "2", 1); err != nil {
				t.Error(err)
			}
		}()
		synctest.Wait()
		if _, err := s.Take(t.Context(), "root", 1); err != nil {
			t.Error(err)
		}
		one.Release()
	})
}

func TestWhoWaitsGetsASlot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewSlots[string](Bounds{Each: 10, All: 60})
		take := func(who string, n int64) *Slot[string] {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			slot, err := s.Take(ctx, who, n)
			if err != nil && !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("take: %v", err)
			}
			return slot
		}
		mine := take("1000", 10)
		if take("1000", 1) != nil {
			t.Error("one person has more than their part")
		}
		var all []*Slot[string]
		for _, who := range []string{"1", "2", "3", "4", "5"} {
			all = append(all, take(who, 10))
		}
		if take("6", 1) != nil {
			t.Error("all together have more than there is")
		}
		waiting := make(chan *Slot[string])
		go func() { waiting <- take("6", 1) }()
		synctest.Wait()
		mine.Release()
		mine.Release() // once
		all = append(all, <-waiting, take("1000", 1))
		for _, slot := range all {
			if slot == nil {
				t.Fatal("there was no room")
			}
			slot.Release()
		}
		if s.Taken() != 0 || len(s.people) != 0 || len(s.waiting) != 0 {
			t.Errorf("%d are taken, by %v, %d wait", s.Taken(), s.people, len(s.waiting))
		}
	})
}

func TestWhatNeverFitsDoesNotWait(t *testing.T) {
	s := NewSlots[string](Bounds{Each: 10, All: 5})
	for n, want := range map[int64]error{-1: ErrPersonFull, 11: ErrPersonFull, 6: ErrFull} {
		if _, err := s.Take(t.Context(), "1000", n); err != want {
			t.Errorf("%d: %v, want %v", n, err, want)
		}
	}
}

// Attack: many small requests come again and again, so that a large one never
// finds room. And the other way: somebody waits for their own slots, and all
// others wait behind them.
func TestWhoGoesFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewSlots[string](Bounds{Each: 4, All: 6})
		order := make(chan string, 10)
		ctx, cancel := context.WithCancel(t.Context())
		wait := func(ctx context.Context, who string, n int64) {
			go func() {
				if slot, err := s.Take(ctx, who, n); err == nil {
					order <- who
					defer slot.Release()
					<-t.Context().Done()
				}
			}()
			synctest.Wait()
		}
		held := func() string {
			synctest.Wait()
			select {
			case who := <-order:
				return who
			default:
				return ""
			}
		}
		small, _ := s.TryTake("small", 3)
		wait(t.Context(), "small", 2) // for a slot of its own
		wait(t.Context(), "other", 1)
		if got := held(); got != "other" {
			t.Errorf("%q went first, want the one whom nothing stops", got)
		}
		wait(ctx, "large", 4) // for the common ones: 2 are left
		wait(t.Context(), "tiny", 1)
		if got := held(); got != "" {
			t.Errorf("%q overtook the large one", got)
		}
		cancel() // the large one gives up, and those behind it go on
		if got := held(); got != "tiny" {
			t.Errorf("%q went on, want the one behind", got)
		}
		small.Release()
		if got := held(); got != "small" {
			t.Errorf("%q went on, want the one that had to wait for itself", got)
		}
	})
}

func BenchmarkTryTake(b *testing.B) {
	s := NewSlots[string](Bounds{Each: 32, All: 256})
	b.ReportAllocs()
	for b.Loop() {
		slot, _ := s.TryTake("1000", 1)
		slot.Release()
	}
}

func BenchmarkTake(b *testing.B) {
	s := NewSlots[string](Bounds{Each: 32, All: 256})
	b.ReportAllocs()
	for b.Loop() {
		slot, _ := s.Take(b.Context(), "1000", 1)
		slot.Release()
	}
}
