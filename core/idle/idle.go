// Package idle tells when a process has had nothing to do for a while, so that it can
// give back what it held for its work. It wakes nobody up who has nothing to do.
package idle

import (
	"sync"
	"time"
)

// giveBackAfter is how long there was nothing to do before memory is given back: whoever
// works again has to have it cleared for them, which takes longer than to find it there.
const giveBackAfter = 30 * time.Second

// Pace is how hard a process looks out for work.
type Pace interface {
	// GiveBack is called when there was nothing to do for a while, and gives back what is
	// only needed for work. It may take a while; work goes on meanwhile.
	GiveBack()
	// Rest is called after that, Work when there is something to do again. Neither takes
	// long.
	Rest()
	Work()
}

// Watch tells when nothing was done for a while. A nil one tells nobody.
type Watch struct {
	after time.Duration
	paces []Pace

	mu     sync.Mutex
	timer  *time.Timer
	last   time.Time // when something was done
	waits  bool      // the timer runs
	rests  bool
	closed bool
	looks  sync.WaitGroup
}

// Memory gives memory back to the system once nothing was done for a while, and has pace,
// unless it is nil, rest until something is done again: what the runtime returns by itself
// it returns in small pieces for minutes, each of which wakes the process up.
func Memory(pace Pace) *Watch {
	c := &collector{}
	w := newWatch(giveBackAfter, c)
	if pace != nil {
		w.paces = append(w.paces, pace)
	}
	c.busy = w.Busy
	return w
}

func newWatch(after time.Duration, paces ...Pace) *Watch {
	return &Watch{after: after, paces: paces}
}

// Busy says that something is done now. It never waits for what is done when idle.
func (w *Watch) Busy() {
	if w == nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.last = time.Now()
	if w.rests {
		w.work()
	}
	if !w.waits {
		w.wait(w.after)
	}
}

// wait has look called after d. The caller holds mu. One timer at a time: to move it for
// each piece of work would be work.
func (w *Watch) wait(d time.Duration) {
	if w.closed {
		return
	}
	w.waits = true
	w.looks.Add(1)
	w.timer = time.AfterFunc(d, w.look)
}

func (w *Watch) look() {
	defer w.looks.Done()
	w.mu.Lock()
	rest := w.after - time.Since(w.last)
	w.waits = false
	if rest > 0 {
		w.wait(rest)
	}
	w.mu.Unlock()
	if rest > 0 {
		return
	}
	for _, p := range w.paces {
		p.GiveBack()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.waits || w.closed { // something has been done meanwhile
		return
	}
	w.rests = true
	for _, p := range w.paces {
		p.Rest()
	}
}

// work ends the rest. The caller holds mu.
func (w *Watch) work() {
	w.rests = false
	for _, p := range w.paces {
		p.Work()
	}
}

// Close ends it. What was begun has ended when it returns.
func (w *Watch) Close() {
	w.mu.Lock()
	w.closed = true
	if w.rests {
		w.work()
	}
	if w.timer != nil && w.timer.Stop() {
		w.looks.Done()
	}
	w.mu.Unlock()
	w.looks.Wait()
}
