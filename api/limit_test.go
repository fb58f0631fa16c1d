package api

import (
	"testing"
	"testing/synctest"
	"time"

	"kpm/core"
)

func TestATokenBucketForEachUser(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(10, 3)
		take := func(user core.UserID, n int) (granted int) {
			for range n {
				if l.take(user) == 0 {
					granted++
				}
			}
			return granted
		}
		for _, step := range []struct {
			wait time.Duration
			user core.UserID
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
		if got := l.take("1000"); got != 100*time.Millisecond {
			t.Errorf("told to wait %v, want 100ms", got)
		}
	})
}

func TestTheLimiterForgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(1, 1)
		for i := range maxBuckets {
			l.take(core.UserID(time.Duration(i).String()))
		}
		time.Sleep(time.Second)
		l.take("busy")
		l.take("new")
		if got := len(l.buckets); got != 2 {
			t.Errorf("%d buckets are kept, want the 2 that say something", got)
		}
	})
}

func BenchmarkLimiter(b *testing.B) {
	l := newLimiter(100, 200)
	for b.Loop() {
		l.take("1000")
	}
}
