//go:build linux

package linux

import (
	"errors"
	"sync"
	"time"
)

// Who holds a TCP socket is only to be found by looking at every descriptor of
// every process. Attack: a user opens a million files and connects again and
// again; each time the service reads them all. So one user's connections may
// cost scanShare of one processor's time, after scanBurst at once, and one
// looking ends after scanTime. Root may take its time: it has other ways to
// stop the service, and plugins that use TCP are its own.
const (
	scanTime  = 250 * time.Millisecond
	scanBurst = 500 * time.Millisecond
	scanShare = 0.1
	maxScans  = 4 // of one user at once
)

// errCostly is about a user whose connections take too long to look into. A
// local socket names its peer at no cost.
var errCostly = errors.New("finding out who holds the connection takes too long; use the local socket")

// scans accounts for the time that was spent on finding the holders of users'
// sockets.
type scans struct {
	mu    sync.Mutex
	users map[uint32]*scanning
}

// scanning is one user's account.
type scanning struct {
	running int
	debt    time.Duration // at a time
	at      time.Time
}

// enter begins to look for holders of a socket of uid's. Whoever calls it calls
// done in the end; until is zero for as long as it takes.
func (s *scans) enter(uid uint32) (until time.Time, done func(), err error) {
	if uid == 0 {
		return time.Time{}, func() {}, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	u := s.users[uid]
	if u == nil {
		u = &scanning{}
		s.users[uid] = u
	}
	u.settle(now)
	if u.running >= maxScans || u.debt >= scanBurst {
		return time.Time{}, nil, errCostly
	}
	u.running++
	return now.Add(scanTime), func() { s.leave(uid, time.Since(now)) }, nil
}

func (s *scans) leave(uid uint32, took time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.users[uid]
	u.settle(time.Now())
	u.running--
	u.debt += took
	for other, v := range s.users { // few: users who have connected just now
		if v.settle(time.Now()); v.running == 0 && v.debt == 0 {
			delete(s.users, other)
		}
	}
}

// settle pays off what time has paid off.
func (u *scanning) settle(now time.Time) {
	u.debt = max(0, u.debt-time.Duration(float64(now.Sub(u.at))*scanShare))
	u.at = now
}
