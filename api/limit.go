package api

import (
	"sync"
	"time"

	"kpm/core"
)

// limiter is a token bucket for each user: rate requests a second, burst at
// once. One user's flood costs that user, nobody else.
type limiter struct {
	rate, burst float64

	mu      sync.Mutex
	buckets map[core.UserID]bucket
}

type bucket struct {
	tokens float64
	at     time.Time
}

// maxBuckets bounds the memory that users can make the limiter hold. Beyond it
// full buckets, which say nothing, are forgotten.
const maxBuckets = 1024

func newLimiter(rate, burst float64) *limiter {
	return &limiter{rate: rate, burst: burst, buckets: map[core.UserID]bucket{}}
}

// take spends one token of user, or returns how long until there is one.
func (l *limiter) take(user core.UserID) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	b, known := l.buckets[user]
	if !known {
		l.forget(now)
		b = bucket{tokens: l.burst, at: now}
	}
	b.tokens = l.level(b, now)
	b.at = now
	wait := time.Duration(0)
	if b.tokens >= 1 {
		b.tokens--
	} else {
		wait = time.Duration((1 - b.tokens) / l.rate * float64(time.Second))
	}
	l.buckets[user] = b
	return wait
}

func (l *limiter) level(b bucket, now time.Time) float64 {
	return min(l.burst, b.tokens+now.Sub(b.at).Seconds()*l.rate)
}

func (l *limiter) forget(now time.Time) {
	if len(l.buckets) < maxBuckets {
		return
	}
	for user, b := range l.buckets {
		if l.level(b, now) >= l.burst {
			delete(l.buckets, user)
		}
	}
}
