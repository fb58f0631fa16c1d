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
// wakes a thread there. In a crowd the requests of several people go on at once, and
// garbage is collected less often.
type processors struct {
	all  int
	set  func(n int) int // runtime.GOMAXPROCS
	grow func(n int) int // debug.SetGCPercent

	mu    sync.Mutex
	wide  bool
	since time.Time // of wide
}

func newProcessors() *processors {
	return &processors{all: runtime.NumCPU(), set: runtime.GOMAXPROCS, grow: debug.SetGCPercent}
}

// settle ends the start, during which every processor is used: files are opened and read
// while plugins start.
func (p *processors) settle() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.wide {
		p.grow(growthInCrowd)
		return
	}
	p.grow(growth)
	p.use(1)
}

// Percent of what is in use by which the heap may grow before it is collected: never
// during a start, which makes some megabytes and then serves people, less often in a
// crowd, and otherwise as programs do that nobody has asked to be faster. An endpoint's
// memory belongs to its user; collecting a few megabytes more often costs less than
// holding twice. What a crowd has made is given back when it has gone (core/idle).
const growthAtStart, growthInCrowd, growth = 400, 300, 100

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
	case wide == p.wide:
	case wide:
		p.wide, p.since = true, time.Now()
		p.grow(growthInCrowd)
		p.use(p.all)
	case time.Since(p.since) >= crowdLasts:
		p.wide = false
		p.grow(growth)
		p.use(1)
	}
}

// use has n processors used, where there is more than one. The caller holds mu.
func (p *processors) use(n int) {
	if p.all > 1 {
		p.set(n)
	}
}
