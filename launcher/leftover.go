package launcher

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"kpm/core"
	"kpm/core/fair"
	"kpm/core/port"
	"kpm/launcher/journal"
)

// Bounds of groups that ended commands have left behind, of one user's and of
// all. Attack: the journal carries them from segment to segment in one record,
// and a user starts ten thousand commands that each leave something. Beyond
// these what a command leaves is ended with it.
const (
	maxUserLeft = 256
	maxLeft     = 4096
)

// lookAgain is how soon after one look at all processes the next may follow:
// commands that end meanwhile are looked after together. Attack: each of a
// user's commands leaves something and ends, and every end costs a look.
const lookAgain = 100 * time.Millisecond

// lookKnown is how soon after one look at what earlier commands have left the next
// may follow: there may be maxUserLeft of these, of which most stay.
const lookKnown = time.Second

// leftover is what a command has left behind, or may have. Of one that an
// earlier service started, whose it is is not known any more.
type leftover struct {
	journal.Child
	who core.UserID
	// slot is the command's. It is given back when its group has been looked
	// after: nobody's commands end faster than that.
	slot *fair.Slot[core.UserID]
}

func (l leftover) group() port.Group { return port.Group{Root: l.ID(), Name: l.Group} }

// ended is a command that has just ended.
type ended struct {
	leftover
	id core.RequestID
	// gone waits until what was beside the command has ended as well, which it does
	// by itself and at once.
	gone func(context.Context)
}

// goneTime bounds that, of all that have ended together: nobody's place is kept by
// another's. What is there afterwards counts as left behind.
const goneTime = time.Second

// leftovers looks, off the callers' path, whether ended commands have left
// processes behind, and whether those of earlier ones are gone by now. As long
// as one lives, its group stays registered: it is never Admin (decision 10).
type leftovers struct {
	launcher *Launcher
	stop     chan struct{} // closed by close

	mu      sync.Mutex
	left    map[core.RequestID]leftover
	ended   []ended
	looking bool
	looked  time.Time // at left
	behind  bool      // something has ended since then
	looks   sync.WaitGroup
}

// keep remembers a group that is known to have members.
func (ls *leftovers) keep(id core.RequestID, left leftover) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	ls.left[id] = left
}

// tend has the group of a command looked after that has ended.
func (l *Launcher) tend(e *elevation, p started) {
	gone := func(ctx context.Context) { _, _ = p.process.Wait(ctx) } // how it ended is known
	l.leftovers.add(ended{id: e.id, gone: gone, leftover: leftover{
		Child: childOf(p), who: e.person, slot: e.share.hand(),
	}})
}

func (ls *leftovers) add(e ended) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	ls.ended = append(ls.ended, e)
	if !ls.looking {
		ls.looking = true
		ls.looks.Go(ls.run)
	}
}

// run looks until there is nothing to look at.
func (ls *leftovers) run() {
	for ls.look() {
		timer := time.NewTimer(lookAgain)
		select {
		case <-timer.C:
		case <-ls.stop:
			timer.Stop()
		}
	}
}

// look deals with what has ended since the last look, and reports whether to
// come back.
func (ls *leftovers) look() bool {
	ls.mu.Lock()
	fresh := ls.ended
	ls.ended = nil
	ls.behind = len(ls.left) > 0 && (ls.behind || len(fresh) > 0)
	if len(fresh) == 0 && (!ls.behind || ls.stopping()) {
		ls.looking = false
		ls.mu.Unlock()
		return false
	}
	var groups []port.Group
	for _, e := range fresh {
		groups = append(groups, e.group())
	}
	var known []core.RequestID
	if ls.behind && time.Since(ls.looked) >= lookKnown {
		ls.behind, ls.looked = false, time.Now()
		for id, left := range ls.left {
			known, groups = append(known, id), append(groups, left.group())
		}
	}
	ls.mu.Unlock()

	ctx, cancel := context.WithTimeout(context.Background(), goneTime)
	for _, e := range fresh {
		e.gone(ctx)
	}
	cancel()
	occupied, err := ls.launcher.cfg.Tree.Occupied(groups)
	if err != nil {
		// What could not be seen may be there.
		ls.launcher.cfg.Log.Warn("what ended commands have left is not known", "error", err)
		occupied = slices.Repeat([]bool{true}, len(groups))
	}
	for i, id := range known {
		if !occupied[len(fresh)+i] {
			ls.forget(id)
		}
	}
	ls.settle(fresh, occupied)
	return true
}

// forget lets go of a group that has no members any more.
func (ls *leftovers) forget(id core.RequestID) {
	ls.mu.Lock()
	left, ok := ls.left[id]
	delete(ls.left, id)
	ls.mu.Unlock()
	if ok {
		ls.launcher.unregister(left.ID())
		ls.launcher.append(journal.Record{Type: journal.Gone, Request: id})
	}
}

// settle keeps or ends what commands have left, if they have left anything.
func (ls *leftovers) settle(fresh []ended, occupied []bool) {
	var over []ended
	for i, e := range fresh {
		ls.launcher.cfg.Launcher.Forget(e.ID()) // how it ended is on record
		switch {
		case !occupied[i]:
			ls.launcher.unregister(e.ID())
			e.slot.Release()
		case ls.full(e.who) && !ls.stopping():
			over = append(over, e)
		default:
			ls.remember(e)
		}
	}
	if len(over) > 0 {
		ls.end(over)
	}
}

// end ends what is beyond the bounds, all of it together. Attack: each of a user's
// commands leaves something, and to look for each one's processes among those of the
// whole machine takes more of a processor than what everybody else asks for.
func (ls *leftovers) end(over []ended) {
	var groups []port.Group
	for _, e := range over {
		groups = append(groups, e.group())
	}
	stay := make([]bool, len(over))
	if _, err := ls.launcher.cfg.Tree.KillGroups(groups...); err != nil {
		ls.launcher.cfg.Log.Warn("not all that ended commands have left was ended", "error", err)
		if stay, err = ls.launcher.cfg.Tree.Occupied(groups); err != nil {
			stay = slices.Repeat([]bool{true}, len(groups)) // what could not be seen may be there
		}
	}
	for i, e := range over {
		if stay[i] {
			ls.remember(e)
			continue
		}
		ls.launcher.unregister(e.ID())
		e.slot.Release()
	}
}

// remember keeps what a command has left, and writes that down.
func (ls *leftovers) remember(e ended) {
	defer e.slot.Release()
	e.leftover.slot = nil
	ls.keep(e.id, e.leftover)
	ls.launcher.quota.Spend(e.who, leftCost)
	ls.launcher.recordLeft(e.id, e.Child)
}

func (ls *leftovers) full(who core.UserID) bool {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	mine := 0
	for _, left := range ls.left {
		if left.who == who {
			mine++
		}
	}
	return mine >= maxUserLeft || len(ls.left) >= maxLeft
}

func (ls *leftovers) stopping() bool {
	select {
	case <-ls.stop:
		return true
	default:
		return false
	}
}

var errLeftovers = errors.New("launcher: close: what ended commands have left cannot be looked at in time")

// close waits, for a bounded time, until everything that has ended is on
// record. Nothing more is ended from now on.
func (ls *leftovers) close() error {
	close(ls.stop)
	done := make(chan struct{})
	go func() {
		ls.looks.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-time.After(lastWait):
		return errLeftovers
	}
}

func (l *Launcher) recordLeft(id core.RequestID, child journal.Child) {
	l.append(journal.Record{Type: journal.Left, Request: id, Child: &child})
}
