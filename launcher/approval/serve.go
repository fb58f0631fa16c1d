package approval

import (
	"context"
	"time"
)

// lookAgain is how often the clocks are looked at while something is open: somebody may
// have set one. Where nothing is, a change wakes Serve.
const (
	lookAgain = 10 * time.Second
	whenIdle  = time.Hour
)

// warnBefore is how long before its end a requester is told that an approval expires, or
// half of what it was given if that is less.
const warnBefore = 10 * time.Minute

// Serve escalates and expires approvals when their time has come, also where nobody
// looks at them, until ctx is done. soon, if not nil, hears once of each that is about
// to expire, and for how long it is still there; it must not block or call back.
func (b *Book) Serve(ctx context.Context, soon func(Record, time.Duration)) {
	for {
		timer := time.NewTimer(b.due(soon))
		select {
		case <-timer.C:
		case <-b.wake:
			timer.Stop()
		case <-ctx.Done():
			timer.Stop()
			return
		}
	}
}

// due applies the deadlines that have come, warns of those that will, and returns when to
// look again.
func (b *Book) due(soon func(Record, time.Duration)) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := read(b.clock)
	wait := whenIdle
	for _, e := range b.records {
		b.settle(e, now)
		if e.State.Final() {
			continue
		}
		left := min(e.Until.left(now), e.Last.left(now))
		wait = min(wait, left, lookAgain)
		if soon != nil && e.warned != e.Until {
			if ahead := left - min(warnBefore, e.Until.Wall.Sub(e.Until.Set)/2); ahead > 0 {
				wait = min(wait, ahead)
			} else {
				e.warned = e.Until
				soon(e.clone(), left)
			}
		}
		if e.Escalates != nil {
			wait = min(wait, e.Escalates.left(now))
		}
	}
	return max(wait, time.Millisecond)
}

// Remaining returns for how long r may still wait or be used.
func (b *Book) Remaining(r *Record) time.Duration {
	now := read(b.clock)
	return max(0, min(r.Until.left(now), r.Last.left(now)))
}
