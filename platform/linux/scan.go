//go:build linux

package linux

import (
	"errors"
	"math"
	"time"

	"kpm/core"
	"kpm/core/fair"
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
	scanPiece = 8 // processes between which somebody else is served
	maxScans  = 4 // of one user at once; whoever listens bounds connections in all
)

// errCostly is about a user whose connections take too long to look into. A
// local socket names its peer at no cost.
var errCostly = errors.New("finding out who holds the connection takes too long; use the local socket")

// scans accounts for the time that is spent on finding the holders of users'
// sockets.
type scans struct {
	running *fair.Slots[core.UserID]
	time    *fair.Rate[core.UserID] // nanoseconds
}

func newScans() scans {
	return scans{
		running: fair.NewSlots[core.UserID](fair.Bounds{Each: maxScans, All: math.MaxInt64}),
		time:    fair.NewRate[core.UserID](scanShare*float64(time.Second), int(scanBurst)),
	}
}

// enter begins to look for holders of a user's socket. Whoever calls it calls
// done in the end; until is zero for as long as it takes.
func (s *scans) enter(user core.UserID) (until time.Time, done func(), err error) {
	if user == "0" {
		return time.Time{}, func() {}, nil
	}
	slot, err := s.running.TryTake(user, 1)
	if err != nil {
		return time.Time{}, nil, errCostly
	}
	if s.time.Take(user, 1) > 0 {
		slot.Release()
		return time.Time{}, nil, errCostly
	}
	begun := time.Now()
	return begun.Add(scanTime), func() {
		s.time.Spend(user, int(time.Since(begun)))
		slot.Release()
	}, nil
}
