package launcher

import (
	"sync"

	"kpm/core"
)

// Bounds of all private copies together, and of one user's, in bytes. Attack:
// thirty requests for a huge file each fill the disk that the journal needs.
const (
	maxCopies     = 4 << 30
	maxUserCopies = 1 << 30
)

// budget counts the bytes of private copies.
type budget struct {
	mu      sync.Mutex
	total   int64
	perUser map[core.UserID]int64
}

// take reserves n bytes for a user, if they are left.
func (b *budget) take(user core.UserID, n int64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if n < 0 || n > maxCopies-b.total || n > maxUserCopies-b.perUser[user] {
		return false
	}
	b.total += n
	b.perUser[user] += n
	return true
}

// give returns what take reserved.
func (b *budget) give(user core.UserID, n int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.total -= n
	if b.perUser[user] -= n; b.perUser[user] == 0 {
		delete(b.perUser, user)
	}
}
