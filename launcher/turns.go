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

// turns lets questions pass as long as there is room for them; the others wait.
type turns struct {
	mu      sync.Mutex
	total   int
	perUser map[core.UserID]int
	changed chan struct{} // closed and replaced when there is more room
}

func newTurns() *turns {
	return &turns{perUser: map[core.UserID]int{}, changed: make(chan struct{})}
}

// take waits for room for a question of n bytes. done gives it back and may be
// called more than once. The error is ctx's.
func (t *turns) take(ctx context.Context, user core.UserID, n int) (done func(), err error) {
	n = min(n, maxUserAsked)
	for {
		t.mu.Lock()
		if t.total+n <= maxAsked && t.perUser[user]+n <= maxUserAsked {
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
