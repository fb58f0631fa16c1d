package fair

import (
	"math"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// maxPeople bounds how many people a Rate remembers. Attack: somebody with many
// accounts makes the service remember all of them.
const maxPeople = 1024

// maxWait is the longest that anybody is told to wait.
const maxWait = 365 * 24 * time.Hour

// Rate is a bucket of tokens for each person, so that one person's flood costs
// that person and nobody else. Its methods may be called concurrently.
type Rate[K comparable] struct {
	limit rate.Limit
	burst int
	most  int // how many people are remembered

	mu      sync.Mutex
	buckets map[K]*rate.Limiter
	rest    *rate.Limiter // shared by whoever comes when there are no more
}

// NewRate returns a Rate by which each person gets perSecond tokens a second
// and has at most burst, which is at least 1, and at first.
func NewRate[K comparable](perSecond float64, burst int) *Rate[K] {
	return newRate[K](perSecond, burst, maxPeople)
}

func newRate[K comparable](perSecond float64, burst, most int) *Rate[K] {
	r := &Rate[K]{limit: rate.Limit(perSecond), burst: burst, most: most, buckets: map[K]*rate.Limiter{}}
	r.rest = rate.NewLimiter(r.limit, burst)
	return r
}

// Take spends n tokens of who and returns 0, or spends none and returns how
// long it will be until they are there. What costs more than a whole burst
// costs a whole burst: it is possible, after a wait.
func (r *Rate[K]) Take(who K, n int) time.Duration { return r.take(who, n, time.Now()) }

func (r *Rate[K]) take(who K, n int, now time.Time) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	n = min(n, r.burst)
	bucket := r.bucket(who, now)
	if bucket.AllowN(now, n) {
		return 0
	}
	seconds := (float64(n) - bucket.TokensAt(now)) / float64(r.limit)
	return max(1, time.Duration(math.Ceil(min(seconds, maxWait.Seconds())*float64(time.Second))))
}

// Reserve spends n tokens of who, whether they are there by now or not, and
// returns how long who must wait before using them; people come in the order in
// which they ask. If that is longer than patience it spends none, and reports
// false with how long it would be. What costs more than a whole burst costs a
// whole burst.
func (r *Rate[K]) Reserve(who K, n int, patience time.Duration) (wait time.Duration, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	reserved := r.bucket(who, now).ReserveN(now, min(n, r.burst))
	if wait = min(reserved.DelayFrom(now), maxWait); wait > patience {
		reserved.CancelAt(now)
		return wait, false
	}
	return wait, true
}

// Spend takes n tokens of who that have been used already, whether they were
// there or not: until the debt is paid off, Take refuses.
func (r *Rate[K]) Spend(who K, n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	for bucket := r.bucket(who, now); n > 0; n -= r.burst {
		bucket.ReserveN(now, min(n, r.burst)) // which takes a burst at most
	}
}

// bucket returns the tokens of who, full ones if who is new.
func (r *Rate[K]) bucket(who K, now time.Time) *rate.Limiter {
	if bucket, ok := r.buckets[who]; ok {
		return bucket
	}
	if len(r.buckets) >= r.most {
		r.forget(now)
	}
	if len(r.buckets) >= r.most {
		return r.rest
	}
	bucket := rate.NewLimiter(r.limit, r.burst)
	r.buckets[who] = bucket
	return bucket
}

// idle reports whether everybody has all their tokens.
func (r *Rate[K]) idle(now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.forget(now)
	return len(r.buckets) == 0
}

// forget drops full buckets: a new one would be the same.
func (r *Rate[K]) forget(now time.Time) {
	for who, bucket := range r.buckets {
		if bucket.TokensAt(now) >= float64(r.burst) {
			delete(r.buckets, who)
		}
	}
}
