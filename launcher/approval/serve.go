package approval

import (
	"context"
	"time"
)

// lookAgain is how often the clocks are looked at: somebody may have set one.
const lookAgain = 10 * time.Second

// Serve escalates and expires approvals when their time has come, also where nobody
// looks at them, until ctx is done.
func (b *Book) Serve(ctx context.Context) {
	for {
		timer := time.NewTimer(b.due())
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

// due applies the deadlines that have come, and returns when to look again.
func (b *Book) due() time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := read(b.clock)
	wait := lookAgain
	for _, e := range b.records {
		b.settle(e, now)
		if e.State.Final() {
			continue
		}
		wait = min(wait, e.Until.left(now), e.Last.left(now))
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
