package history

import (
	"slices"
	"sync"
	"time"
)

const (
	maxBatch = 256
	maxWait  = 1024 // operations that wait to be written, but for bounded ones
	// gather is how long what may be written later waits for more: of the run for one
	// elevation there are five changes, and a transaction for each would take an eighth
	// of the processor time that the service spends on it.
	gather = 50 * time.Millisecond
)

// queue is what waits to be written, in order.
type queue struct {
	filled chan struct{} // holds one element while there is something

	mu     sync.Mutex
	room   *sync.Cond // of mu
	list   []operation
	soon   *time.Timer // signals for what may be written later; nil if there is none
	closed bool
}

func newQueue() *queue {
	q := &queue{filled: make(chan struct{}, 1)}
	q.room = sync.NewCond(&q.mu)
	return q
}

// put takes op in. It waits while too many wait: who writes much is to be no faster than
// the disk. A bounded one does not: its caller is the clock of other jobs. It returns
// false once the queue is closed.
func (q *queue) put(op operation) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	for !q.closed && !op.bounded && len(q.list) >= maxWait {
		q.room.Wait()
	}
	if q.closed {
		return false
	}
	q.list = append(q.list, op)
	switch {
	case !op.later:
		q.signal()
	case q.soon == nil:
		q.soon = time.AfterFunc(gather, q.gathered)
	}
	return true
}

func (q *queue) gathered() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.soon = nil
	if len(q.list) > 0 {
		q.signal()
	}
}

// batch takes the next operations out.
func (q *queue) batch() []operation {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := min(len(q.list), maxBatch)
	batch := slices.Clone(q.list[:n])
	clear(q.list[:n]) // what was written is not to be held until the list grows
	if q.list = q.list[n:]; len(q.list) > 0 {
		q.signal()
	}
	q.room.Broadcast()
	return batch
}

// signal is called with the lock held.
func (q *queue) signal() {
	select {
	case q.filled <- struct{}{}:
	default:
	}
}

// close takes nothing more in, and returns what is left.
func (q *queue) close() []operation {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	if q.soon != nil {
		q.soon.Stop()
	}
	q.room.Broadcast()
	left := q.list
	q.list = nil
	return left
}
