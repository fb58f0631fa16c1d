package launcher

import (
	"context"
	"sync"

	"kpm/core"
)

// Bounds of what is before the policy plugin at once, of all users and of one,
// in bytes. Attack: a user asks about thirty command lines of the greatest
// length at once. Together they are more than the bus keeps for one subscriber
// (docs/wire.md, "Limits of the bus"), which then cuts the plugin off, and
// everybody's questions are lost with it.
const (
	maxAsked     = 6 << 20
	maxUserAsked = 1 << 20
)

// Bounds of the programs whose signatures are judged at once, of all users and
// of one. Attack: a user asks to run thirty small files with as much in their
// signatures as a reader takes; each is worth a hundred megabytes of memory and
// seconds of a processor, before policy has been asked.
const (
	maxJudged     = 8
	maxUserJudged = 1
)

// turns lets questions pass as long as there is room for them; the others wait.
type turns struct {
	all, one int // room for all users, and for one

	mu      sync.Mutex
	total   int
	perUser map[core.UserID]int
	changed chan struct{} // closed and replaced when there is more room
}

func newTurns(all, one int) *turns {
	return &turns{all: all, one: one, perUser: map[core.UserID]int{}, changed: make(chan struct{})}
}

// take waits for room for a question of size n. done gives it back and may be
// called more than once. The error is ctx's.
func (t *turns) take(ctx context.Context, user core.UserID, n int) (done func(), err error) {
	n = min(n, t.one)
	for {
		t.mu.Lock()
		if t.total+n <= t.all && t.perUser[user]+n <= t.one {
			t.total += n
			t.perUser[user] += n
			t.mu.Unlock()
			return sync.OnceFunc(func() { t.give(user, n) }), nil
		}
		changed := t.changed
		t.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (t *turns) give(user core.UserID, n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.total -= n
	if t.perUser[user] -= n; t.perUser[user] == 0 {
		delete(t.perUser, user)
	}
	close(t.changed)
	t.changed = make(chan struct{})
}
