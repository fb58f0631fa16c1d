package service

import (
	"context"
	"runtime"
	"runtime/debug"
	"sync"
	"time"
)

const (
	// crowdFrom is how many open requests are a crowd, for which the service uses every
	// processor; crowdTo is how many are none any more.
	crowdFrom, crowdTo = 6, 2
	// crowdLasts is how long it uses them at least. A change stops every goroutine for a
	// moment.
	crowdLasts = time.Second
)

// processors has the service use one processor while few people ask: an elevation is a
// relay of goroutines that never run at once, and with a second processor each hand-over
// wakes a thread there. In a crowd the requests of several people go on at once.
type processors struct {
	all int
	set func(n int) int // runtime.GOMAXPROCS

	mu    sync.Mutex
	wide  bool
	since time.Time // of wide
}

func newProcessors() *processors {
	return &processors{all: runtime.NumCPU(), set: runtime.GOMAXPROCS}
}

// settle ends the start, during which every processor is used: files are opened and read
// while plugins start.
func (p *processors) settle() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.wide {
		p.set(1)
	}
}

// Percent of what is in use by which the heap may grow before it is collected: never
// during a start, which makes some megabytes and then serves people, and afterwards as
// programs do that nobody has asked to be faster. An endpoint's memory belongs to its
// user; collecting a few megabytes more often costs less than holding twice.
const growthAtStart, growth = 400, 100

// hurry has the heap not collected before somebody is served.
func (s *service) hurry(_ context.Context, o Options) error {
	if o.Sparing {
		debug.SetGCPercent(growthAtStart)
	}
	return nil
}

// settle takes back what was for the start alone.
func (s *service) settle(_ context.Context, o Options) error {
	if o.Sparing {
		s.processors.settle()
		debug.SetGCPercent(growth)
	}
	return nil
}

// crowd is told how many requests are open.
func (p *processors) crowd(open int) {
	if open > crowdTo && open < crowdFrom {
		return // as it is
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	switch wide := open >= crowdFrom; {
	case p.all == 1 || wide == p.wide:
	case wide:
		p.wide, p.since = true, time.Now()
		p.set(p.all)
	case time.Since(p.since) >= crowdLasts:
		p.wide = false
		p.set(1)
	}
}
