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
	people  []K // who wait, in the order in which they come next
	waiting map[K][]chan struct{}
}

// NewQueue returns a Queue in which nobody is. Between two pieces y lets the rest
// of the process go on.
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
		q.busy = true
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
	q.mu.Lock()
	contended := len(q.people) > 0
	q.mu.Unlock()
	if contended {
		q.yielder.Yield()
	}
	q.next()
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
	ready := q.waiting[who][0]
	if rest := q.waiting[who][1:]; len(rest) > 0 {
		q.waiting[who] = rest
		q.people = append(q.people, who)
	} else {
		delete(q.waiting, who)
	}
	close(ready)
}
