package fair

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

func TestATokenBucketForEachPerson(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := NewRate[string](10, 3)
		take := func(user string, n int) (granted int) {
			for range n {
				if r.Take(user, 1) == 0 {
					granted++
				}
			}
			return granted
		}
		for _, step := range []struct {
			wait time.Duration
			user string
			want int
		}{
			{0, "1000", 3},                      // the burst
			{0, "1000", 0},                      // and no more
			{0, "1001", 3},                      // someone else is not affected
			{99 * time.Millisecond, "1000", 0},  // a tenth of a second buys one
			{1 * time.Millisecond, "1000", 1},   //
			{200 * time.Millisecond, "1000", 2}, //
			{time.Hour, "1000", 3},              // never more than the burst
		} {
			time.Sleep(step.wait)
			if got := take(step.user, 5); got != step.want {
				t.Errorf("after %v user %s may ask %d times, want %d", step.wait, step.user, got, step.want)
			}
		}
		if got := r.Take("1000", 1); got != 100*time.Millisecond {
			t.Errorf("told to wait %v, want 100ms", got)
		}
	})
}

func TestWhatCostsMoreThanABurstCostsABurst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := NewRate[string](1, 10)
		if r.Take("1000", 1_000_000) != 0 {
			t.Error("it is not possible at all")
		}
		if got := r.Take("1000", 1_000_000); got != 10*time.Second {
			t.Errorf("told to wait %v, want 10s", got)
		}
		if got := r.Take("1000", 2); got != 2*time.Second {
			t.Errorf("asking in vain cost something: told to wait %v, want 2s", got)
		}
	})
}

func TestWhatIsSpentIsPaidOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := NewRate[string](1, 10)
		r.Spend("1000", 35)
		if got := r.Take("1000", 1); got != 26*time.Second {
			t.Errorf("told to wait %v, want 26s", got)
		}
		r.Spend("1000", 1)
		if got := r.Take("1000", 1); got != 27*time.Second {
			t.Errorf("told to wait %v, want 27s", got)
		}
		if r.Take("1001", 10) != 0 {
			t.Error("somebody else pays for it")
		}
		time.Sleep(27 * time.Second)
		if r.Take("1000", 1) != 0 {
			t.Error("the debt is paid off")
		}
	})
}

// Whoever is willing to wait is slowed down to the rate, and comes in order.
func TestWhoeverWaitsIsSlowedDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := NewRate[string](10, 2)
		for i, want := range []time.Duration{0, 0, 100, 200, 300} {
			if wait, ok := r.Reserve("1000", 1, 350*time.Millisecond); !ok || wait != want*time.Millisecond {
				t.Errorf("the %dth waits %v, %v; want %vms", i+1, wait, ok, int(want))
			}
		}
		for range 2 { // and asking in vain costs nothing
			if wait, ok := r.Reserve("1000", 1, 350*time.Millisecond); ok || wait != 400*time.Millisecond {
				t.Errorf("beyond patience: %v, %v", wait, ok)
			}
		}
		if wait, ok := r.Reserve("1001", 1000, 0); !ok || wait != 0 {
			t.Errorf("somebody else, who wants more than a burst: %v, %v", wait, ok)
		}
	})
}

func TestARateForgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := NewRate[string](1, 1)
		for i := range maxPeople {
			r.Take(fmt.Sprint(i), 1)
		}
		time.Sleep(time.Second)
		r.Take("busy", 1)
		r.Take("new", 1)
		if got := len(r.buckets); got != 2 {
			t.Errorf("%d buckets are kept, want the 2 that say something", got)
		}
	})
}

// Attack: somebody has more accounts than a Rate remembers. They share what one
// has, and whoever came before loses nothing.
func TestARateIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := NewRate[string](1, 2)
		if r.Take("victim", 1) != 0 {
			t.Fatal("the first")
		}
		granted := 0
		for i := range maxPeople + 100 {
			if r.Take(fmt.Sprint(i), 1) == 0 {
				granted++
			}
		}
		if len(r.buckets) != maxPeople || granted != maxPeople-1+2 {
			t.Errorf("%d buckets are kept, %d tokens were spent", len(r.buckets), granted)
		}
		if r.Take("victim", 1) != 0 {
			t.Error("somebody who was there before pays for it")
		}
	})
}

// Whatever people ask for and when: nobody gets more than a burst and what has
// come since, and whoever waits as long as they were told to gets it.
func TestNobodyExceedsARate(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		perSecond := rapid.Float64Range(1, 1e9).Draw(t, "tokens a second")
		burst := rapid.IntRange(1, 1<<24).Draw(t, "burst")
		r := NewRate[int](perSecond, burst)
		begun := time.Now()
		now, spent := begun, map[int]float64{}
		for range rapid.IntRange(1, 30).Draw(t, "steps") {
			who := rapid.IntRange(0, 2).Draw(t, "who")
			n := rapid.IntRange(0, burst).Draw(t, "n")
			wait := r.take(who, n, now)
			if wait > 0 && rapid.Bool().Draw(t, "patient") {
				now = now.Add(wait)
				rounded := 1 + wait>>48 // what a float makes of waits of months
				if wait = r.take(who, n, now); wait > rounded {
					t.Fatalf("told to wait %v more", wait)
				}
			}
			if wait == 0 {
				spent[who] += float64(n)
			}
			// To the nanosecond, and to a float's precision.
			earned := (now.Sub(begun).Seconds() + 30e-9) * perSecond
			if most := (float64(burst) + earned) * (1 + 1e-9); spent[who] > most {
				t.Fatalf("%v tokens were spent, at most %v were there", spent[who], most)
			}
			now = now.Add(time.Duration(rapid.Int64Range(0, int64(time.Minute)).Draw(t, "pause")))
		}
	})
}

func BenchmarkRate(b *testing.B) {
	r := NewRate[string](100, 200)
	b.ReportAllocs()
	for b.Loop() {
		r.Take("1000", 1)
	}
}
