package fair

import (
	"context"
	"slices"
	"sync"
)

// Queue shares what one can use at a time, such as a processor, between people:
// whoever waits is served person by person and not in order of arrival, so that
// what one has to do in a hundred pieces delays another by one piece. Its
// methods may be called concurrently.
type Queue[K comparable] struct {
	yielder *Yielder

	mu      sync.Mutex
	busy    bool
	served  K   // while busy, and before
	pieces  int // since the rest of the process could go on
	people  []K // who wait, in the order in which they come next
	waiting map[K][]chan struct{}
}

// atOnce is how many people may be served before the rest of the process goes on.
const atOnce = 4

// NewQueue returns a Queue in which nobody is. Between two pieces of one person's,
// and after atOnce of any, y lets the rest of the process go on: that takes as long
// as the rest has to do, and whoever has a single piece is not to wait for it.
func NewQueue[K comparable](y *Yielder) *Queue[K] {
	return &Queue[K]{yielder: y, waiting: map[K][]chan struct{}{}}
}

// Take waits until who is served, or until ctx ends, whose error it then
// returns. Whoever is served calls done, and soon.
func (q *Queue[K]) Take(ctx context.Context, who K) (done func(), err error) {
	ready := q.enqueue(who)
	if ready == nil {
		return q.done, nil
	}
	select {
	case <-ready:
		return q.done, nil
	case <-ctx.Done():
	}
	if !q.withdraw(who, ready) { // it was served at the same moment
		q.next()
	}
	return nil, ctx.Err()
}

// enqueue serves who, or returns what is closed when who is served.
func (q *Queue[K]) enqueue(who K) chan struct{} {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.busy {
		q.busy, q.served = true, who
		return nil
	}
	ready := make(chan struct{})
	if len(q.waiting[who]) == 0 {
		q.people = append(q.people, who)
	}
	q.waiting[who] = append(q.waiting[who], ready)
	return ready
}

// withdraw reports whether ready still waited, and does not any more.
func (q *Queue[K]) withdraw(who K, ready chan struct{}) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	at := slices.Index(q.waiting[who], ready)
	if at < 0 {
		return false
	}
	q.waiting[who] = slices.Delete(q.waiting[who], at, at+1)
	if len(q.waiting[who]) == 0 {
		delete(q.waiting, who)
		q.people = slices.DeleteFunc(q.people, func(other K) bool { return other == who })
	}
	return true
}

// done serves the next. It yields only if somebody waits: whoever is alone has
// nobody to let pass.
func (q *Queue[K]) done() {
	if q.pauses() {
		q.yielder.Yield()
	}
	q.next()
}

// pauses reports whether the rest of the process goes on before the next is served.
func (q *Queue[K]) pauses() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.pieces++
	if len(q.people) == 0 || q.people[0] != q.served && q.pieces < atOnce {
		return false
	}
	q.pieces = 0
	return true
}

func (q *Queue[K]) next() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.people) == 0 {
		q.busy = false
		return
	}
	who := q.people[0]
	q.people = q.people[1:]
	q.served = who
	ready := q.waiting[who][0]
	if rest := q.waiting[who][1:]; len(rest) > 0 {
		q.waiting[who] = rest
		q.people = append(q.people, who)
	} else {
		delete(q.waiting, who)
	}
	close(ready)
}
