package history

import (
	"sync"
	"time"
)

const (
	maxBatch = 256
	maxWait  = 1024 // operations that wait to be written, but for bounded ones
	// maxTogether is how many tasks of a run are one operation.
	maxTogether = 64
	// gather is how long what may be written later waits for more: of the run for one
	// elevation there are a dozen changes, and a transaction for each would take a third
	// of the processor time that the service spends on it.
	gather = 50 * time.Millisecond
)

// queue is what waits to be written, in order.
type queue struct {
	filled chan struct{} // holds one element while there is something

	mu     sync.Mutex
	room   *sync.Cond // of mu
	list   []operation
	notes  map[string]*note // those in list, by run
	soon   *time.Timer      // signals for what may be written later; nil if there is none
	urgent bool             // something in list may not be written later
	closed bool
}

func newQueue() *queue {
	q := &queue{filled: make(chan struct{}, 1), notes: map[string]*note{}}
	q.room = sync.NewCond(&q.mu)
	return q
}

// put takes op in. It waits while too many wait: who writes much is to be no faster than
// the disk. A bounded one does not: its caller is the clock of other jobs. It returns
// false once the queue is closed.
func (q *queue) put(op operation) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	for !q.closed && !q.hasRoom(op.bounded) {
		q.room.Wait()
	}
	if q.closed {
		return false
	}
	q.add(op)
	return true
}

// note has change add to what waits to be noted of a run.
func (q *queue) note(runID string, bounded bool, change func(*note)) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	for {
		if n := q.notes[runID]; n != nil && len(n.tasks) < maxTogether {
			change(n)
			return true
		}
		if q.closed {
			return false
		}
		if q.hasRoom(bounded) {
			break
		}
		q.room.Wait()
	}
	n := &note{runID: runID, since: time.Now()}
	change(n)
	q.notes[runID] = n
	q.add(operation{note: n, later: true})
	return true
}

func (q *queue) hasRoom(bounded bool) bool { return bounded || len(q.list) < maxWait }

// add is called with the lock held.
func (q *queue) add(op operation) {
	q.list = append(q.list, op)
	switch {
	case !op.later:
		q.urgent = true
		q.signal()
	case q.soon == nil:
		q.soon = time.AfterFunc(gather, q.gathered)
	}
}

func (q *queue) gathered() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.soon = nil
	if len(q.list) > 0 {
		q.signal()
	}
}

// batch takes the next operations out. What is noted of a run that is not over waits as
// long as it may, so that it becomes one row; unless something is to be written at once.
func (q *queue) batch() []operation {
	q.mu.Lock()
	defer q.mu.Unlock()
	n, now := min(len(q.list), maxBatch), time.Now()
	var batch, kept []operation
	for _, op := range q.list[:n] {
		// What comes after a full note of the same run must not be written before it.
		last := op.note != nil && q.notes[op.note.runID] == op.note
		if !q.urgent && last && !op.note.over() && now.Sub(op.note.since) < gather {
			kept = append(kept, op)
			continue
		}
		if last {
			delete(q.notes, op.note.runID)
		}
		batch = append(batch, op)
	}
	clear(q.list[:n]) // what was written is not to be held until the list grows
	rest := n - len(kept)
	copy(q.list[rest:], kept)
	switch q.list = q.list[rest:]; {
	case len(q.list) > len(kept) && len(batch) > 0:
		q.signal()
	case len(kept) == 0:
		q.urgent = false
	case q.soon == nil:
		q.soon = time.AfterFunc(gather-now.Sub(kept[0].note.since), q.gathered)
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
	q.list, q.notes = nil, nil
	return left
}
