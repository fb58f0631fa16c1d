package launcher

import (
	"sync"
	"time"

	"kpm/core"
)

// The journal keeps a fixed number of bytes, the newest ones. Attack: a user
// has a million requests denied, and with them removes the records of what they
// did before. So at once each user may fill a part of it, and the whole in no
// less than nine hours.
const (
	quotaPart    = 32      // of the journal's bytes, at once
	quotaRefill  = 1024    // seconds until an empty part is full again
	leastQuota   = 1 << 18 // bytes
	requestCost  = 4 << 10 // bytes of a request's records without its subject
	signerCost   = 512     // bytes of one signer without its names
	digestCost   = 70      // bytes of one more digest
	maxEmptyLeft = 1024    // users that are remembered although their part is full
)

// quota bounds what users can have written into the journal.
type quota struct {
	burst float64 // bytes

	mu    sync.Mutex
	users map[core.UserID]spent
}

// spent is what was left for a user at a time.
type spent struct {
	left float64
	at   time.Time
}

func newQuota(capacity int64) *quota {
	return &quota{burst: float64(max(leastQuota, capacity/quotaPart)), users: map[core.UserID]spent{}}
}

// take spends n bytes of a user's part, or returns how long it will be until
// they are there.
func (q *quota) take(user core.UserID, n int) (wait time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	now, cost := time.Now(), min(float64(n), q.burst)
	u, known := q.users[user]
	if !known {
		q.forget(now)
		u = spent{left: q.burst, at: now}
	}
	u = spent{left: q.level(u, now), at: now}
	if u.left >= cost {
		u.left -= cost
	} else {
		wait = time.Duration((cost - u.left) / q.burst * quotaRefill * float64(time.Second))
	}
	q.users[user] = u
	return wait
}

func (q *quota) level(u spent, now time.Time) float64 {
	return min(q.burst, u.left+now.Sub(u.at).Seconds()*q.burst/quotaRefill)
}

// forget drops users whose part is full again, if there are many.
func (q *quota) forget(now time.Time) {
	if len(q.users) < maxEmptyLeft {
		return
	}
	for user, u := range q.users {
		if q.level(u, now) == q.burst {
			delete(q.users, user)
		}
	}
}

// recordBytes is about how many bytes a request takes in the journal.
func recordBytes(s core.Subject) int {
	n := requestCost + encodedBytes(s.Dir) + encodedBytes(s.Executable.Path) + encodedBytes(s.Executable.Requested)
	for _, signer := range s.Executable.Signers {
		n += signerCost + encodedBytes(signer.Subject) + len(signer.KeyID) + len(signer.TeamID) + digestCost*len(signer.Authorities)
	}
	for _, arg := range s.Argv {
		n += encodedBytes(arg) + len(`"",`)
	}
	return n
}

// encodedBytes is the length of s as the journal's JSON has it.
func encodedBytes(s string) int {
	n := len(s)
	for i := range len(s) {
		switch c := s[i]; {
		case c < ' ' || c == '<' || c == '>' || c == '&':
			n += len(`\u0000`) - 1
		case c == 0xe2: // U+2028 is escaped too, and begins with it
			n += len(`\u0000`) - len("\u2028")
		case c == '"' || c == '\\':
			n++
		}
	}
	return n
}
