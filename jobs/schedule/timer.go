package schedule

import (
	"container/heap"
	"context"
	"math"
	"sync"
	"time"
)

const (
	// lookAgain is how often the timer looks at the wall clock, if anything goes by
	// it: somebody may have set it, or the machine may have slept.
	lookAgain = 30 * time.Second
	// grace is how late a time may be noticed without counting as missed.
	grace = time.Minute
	// Correction is how far the clock may be put back for the times between to
	// count as the same ones, which do not come again (3 hours, as ISC cron has
	// it). By more, it was wrong before.
	Correction = 3 * time.Hour
	// jump is what differs between wall clock and elapsed time when somebody has
	// set the clock; less is slewing.
	jump = time.Second
)

// Clock is what a Timer reads. Elapsed does not jump when the clock is set.
type Clock struct {
	Now     func() time.Time
	Elapsed func() time.Duration
}

// SystemClock returns the clock of this machine.
func SystemClock() Clock {
	begun := time.Now()
	return Clock{
		Now:     func() time.Time { return time.Now().Round(0) },
		Elapsed: func() time.Duration { return time.Since(begun) },
	}
}

// Memory remembers, beyond the life of the service, when schedules were last due.
type Memory interface {
	// LastDue returns the time; false if there is none for that schedule.
	LastDue(job, schedule string) (time.Time, bool)
	// Due remembers all of these, without waiting for that. One that is up to
	// Correction before what is remembered changes nothing: of two runs of a job the
	// one that was due first may be the last to be written down.
	Due(times ...Due)
}

// Due is when a schedule was due. Schedule tells it from an earlier one of the same job.
type Due struct {
	Job, Schedule string
	At            time.Time
	// Once: it is never due again, so a loss of power should not undo this.
	Once bool
}

// Fired is a job that is due. Whoever starts it remembers that in one write with the run:
// of a service that is killed between the two, a run would be lost, or come twice.
type Fired struct {
	Job      string
	At       time.Time
	Remember []Due
}

// Timer calls fire when schedules are due.
type Timer struct {
	clock  Clock
	memory Memory
	fire   func(Fired)

	mu      sync.Mutex
	entries map[string]*entry
	queue   queue
	walls   int           // how many of queue go by the wall clock
	wall    time.Time     // when the clock was last looked at
	elapsed time.Duration // the same
	wake    chan struct{}
}

// NewTimer returns a Timer that has nothing to do yet. fire does not block.
func NewTimer(clock Clock, memory Memory, fire func(Fired)) *Timer {
	return &Timer{
		clock: clock, memory: memory, fire: fire, entries: map[string]*entry{},
		wall: clock.Now(), elapsed: clock.Elapsed(), wake: make(chan struct{}, 1),
	}
}

// Set makes these the schedules, by job. One that was there before, unchanged, goes on
// as it was; a new one is due for the first time after now, or at once if a time was
// missed.
func (t *Timer) Set(schedules map[string]*Schedule) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.look()
	kept := map[string]*entry{}
	var list queue
	var seen []Due
	for job, s := range schedules {
		e := t.entries[job]
		if e == nil || e.schedule.text != s.text {
			var due []Due
			e, due = t.begin(job, s, now)
			seen = append(seen, due...)
		}
		if kept[job] = e; !e.over {
			list = append(list, e)
		}
	}
	t.walls = 0
	for _, e := range list {
		if e.schedule.every == 0 {
			t.walls++
		}
	}
	if len(seen) > 0 {
		t.memory.Due(seen...)
	}
	t.entries, t.queue = kept, list
	heap.Init(&t.queue)
	select {
	case t.wake <- struct{}{}:
	default:
	}
}

// begin is an entry with its first time. That it was there then is to be remembered, if
// seen is not empty.
func (t *Timer) begin(job string, s *Schedule, now time.Time) (e *entry, seen []Due) {
	e = &entry{job: job, schedule: s}
	if s.every > 0 {
		// The published rule: counted from the start of the scheduler, whatever was
		// before.
		e.due = now.Add(s.every)
		return e, nil
	}
	last, known := t.memory.LastDue(job, s.text)
	switch {
	case s.once:
		var later bool
		e.due, later = s.Next(now)
		switch {
		case known && !last.Before(e.due):
			e.over = true // it has been, and the clock was put back since
		case later:
			return e, []Due{{Job: job, Schedule: s.text, At: now}} // it was there before its time
		default:
			// Missed, if it was there before its time. One that was already past
			// when it was written never is.
			e.over = !known || s.skip
		}
	default:
		if !known || last.After(now.Add(Correction)) {
			last = now
			seen = []Due{{Job: job, Schedule: s.text, At: now}}
		}
		var ok bool
		if e.due, ok = s.Next(last); !ok {
			e.over = true
		}
	}
	return e, seen
}

// Next returns when a job is due next; false if it is not.
func (t *Timer) Next(job string) (time.Time, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.look() // nothing may have for long, and times of intervals move with the clock
	if e := t.entries[job]; e != nil && !e.over {
		return e.due, true
	}
	return time.Time{}, false
}

// Run calls fire until ctx is done.
func (t *Timer) Run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.wake:
		case <-timer.C:
		}
		timer.Reset(t.Tick())
	}
}

// Tick fires what is due and returns how long there is nothing to do. Run is what calls
// it, but for a test that owns the clock.
func (t *Timer) Tick() time.Duration {
	t.mu.Lock()
	now := t.look()
	var fires []Fired
	var skipped []Due
	for len(t.queue) > 0 && !t.queue[0].due.After(now) {
		e := t.queue[0]
		if f, fire := t.come(e, now); fire {
			fires = append(fires, f)
		} else {
			skipped = append(skipped, f.Remember...)
		}
		if e.over { // an interval never is
			heap.Pop(&t.queue)
			t.walls--
		} else {
			heap.Fix(&t.queue, 0)
		}
	}
	t.mu.Unlock()
	if len(skipped) > 0 {
		t.memory.Due(skipped...)
	}
	for _, f := range fires {
		t.fire(f)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	wait := time.Duration(math.MaxInt64) // Set wakes it
	if len(t.queue) > 0 {
		wait = t.queue[0].due.Sub(t.clock.Now())
	}
	if t.walls > 0 {
		wait = min(wait, lookAgain)
	}
	return wait
}

// come deals with an entry whose time has come, and finds its next one. However many
// times have passed, it fires at most once.
func (t *Timer) come(e *entry, now time.Time) (f Fired, fires bool) {
	due, s := e.due, e.schedule
	missed := now.Sub(due) > grace && s.every == 0
	if e.over = s.once; !e.over {
		next, ok := s.Next(now)
		if s.every > 0 && now.Sub(due) < s.every {
			next, ok = due.Add(s.every), true // lateness does not add up
		}
		e.due, e.over = next, !ok
	}
	f = Fired{Job: e.job, At: due}
	if s.every == 0 {
		f.Remember = []Due{{Job: e.job, Schedule: s.text, At: now, Once: s.once}}
	}
	return f, !missed || !s.skip
}

// look reads the clock. If somebody has set it, intervals go on as if nobody had, and
// fixed times keep their next time unless the clock was far ahead.
func (t *Timer) look() time.Time {
	now, elapsed := t.clock.Now(), t.clock.Elapsed()
	set := now.Sub(t.wall) - (elapsed - t.elapsed)
	t.wall, t.elapsed = now, elapsed
	if set.Abs() < jump {
		return now
	}
	for _, e := range t.queue {
		switch {
		case e.schedule.every > 0:
			e.due = e.due.Add(set)
		case set < -Correction && !e.schedule.once:
			if due, ok := e.schedule.Next(now); ok {
				e.due = due
			}
		}
	}
	heap.Init(&t.queue)
	return now
}

// entry is one schedule with its next time.
type entry struct {
	job      string
	schedule *Schedule
	due      time.Time
	over     bool // it is never due again
}

// queue is a heap, the next entry first.
type queue []*entry

func (q queue) Len() int           { return len(q) }
func (q queue) Less(i, j int) bool { return q[i].due.Before(q[j].due) }
func (q queue) Swap(i, j int)      { q[i], q[j] = q[j], q[i] }
func (q *queue) Push(x any)        { *q = append(*q, x.(*entry)) }
func (q *queue) Pop() any {
	old := *q
	last := old[len(old)-1]
	*q = old[:len(old)-1]
	return last
}
