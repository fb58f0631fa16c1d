package jobs

import (
	"container/heap"
	"fmt"

	"kpm/core"
)

// Bounds of the runs that wait for their turn.
const (
	// maxWaiting is how many, maxWaitingBytes how much their contexts take.
	maxWaiting      = 100_000
	maxWaitingBytes = 64 << 20
	// maxActing bounds the runs that act for a request: every open request may
	// have one (Requests:MaxOpen at its greatest) with room to spare, so that
	// prompts that wait never keep a launch from starting. They take no turn.
	maxActing = 4096 + 1024
)

// ErrBusy is returned for a run that has no place.
var ErrBusy = core.NewError(core.TooMany, "too many job runs are under way or wait")

// turns decides when runs begin: at most free at a time, those of higher priority first
// and in the order in which they came otherwise, and as each job's concurrency has it.
// Its methods are called with the service's lock held.
type turns struct {
	free    int
	acting  int // for a request
	waiting queue
	behind  map[string][]*run        // wait for another run of their job, by its folded id
	active  map[string]map[*run]bool // under way or waiting in the queue, the same
	size    int                      // bytes of what waits
	count   int                      // how many wait
	arrived uint64
}

func newTurns(bound int) *turns {
	return &turns{free: bound, behind: map[string][]*run{}, active: map[string]map[*run]bool{}}
}

// errPrecedence is why a run is skipped: concurrency says so.
var errPrecedence = core.NewError(core.Conflict, `another run of the job is under way, and its concurrency is "skip"`)

// enter takes r in. Then go on with begun. What has to end for it is in replaced.
func (t *turns) enter(r *run) (replaced []*run, err error) {
	others := t.active[r.key]
	if r.job.concurrency == Skip && len(others) > 0 {
		return nil, errPrecedence
	}
	if r.principal.Request != "" && t.acting >= maxActing {
		return nil, ErrBusy
	}
	waits := r.job.concurrency != Allow && len(others) > 0
	if waits || r.principal.Request == "" && t.free == 0 {
		if t.count >= maxWaiting || t.size+r.size() > maxWaitingBytes {
			return nil, fmt.Errorf("%w: %d wait", ErrBusy, t.count)
		}
	}
	t.arrived++
	r.order = t.arrived
	t.count++
	t.size += r.size()
	if waits {
		if r.job.concurrency == Replace {
			for other := range others {
				replaced = append(replaced, other)
			}
			// Of those that wait behind it, the newest is enough.
			replaced = append(replaced, t.behind[r.key]...)
		}
		t.behind[r.key] = append(t.behind[r.key], r)
		return replaced, nil
	}
	t.push(r)
	return nil, nil
}

func (t *turns) push(r *run) {
	if t.active[r.key] == nil {
		t.active[r.key] = map[*run]bool{}
	}
	t.active[r.key][r] = true
	heap.Push(&t.waiting, r)
}

// begun returns the runs whose turn it is.
func (t *turns) begun() (list []*run) {
	for len(t.waiting) > 0 {
		r := t.waiting[0]
		switch {
		case r.principal.Request != "":
			t.acting++
		case t.free > 0:
			t.free--
		default:
			return list
		}
		heap.Pop(&t.waiting)
		t.count--
		t.size -= r.size()
		list = append(list, r)
	}
	return list
}

// leave gives back the place of a run that has ended.
func (t *turns) leave(r *run) {
	if r.principal.Request != "" {
		t.acting--
	} else {
		t.free++
	}
	t.next(r)
}

// next lets the first that waited for r come on.
func (t *turns) next(r *run) {
	if delete(t.active[r.key], r); len(t.active[r.key]) > 0 {
		return
	}
	delete(t.active, r.key)
	if behind := t.behind[r.key]; len(behind) > 0 {
		if t.behind[r.key] = behind[1:]; len(behind) == 1 {
			delete(t.behind, r.key)
		}
		t.push(behind[0])
	}
}

// withdraw takes out a run that waits; false if it does not.
func (t *turns) withdraw(r *run) bool {
	for i, other := range t.behind[r.key] {
		if other == r {
			list := append([]*run(nil), t.behind[r.key][:i]...)
			if t.behind[r.key] = append(list, t.behind[r.key][i+1:]...); len(t.behind[r.key]) == 0 {
				delete(t.behind, r.key)
			}
			t.count--
			t.size -= r.size()
			return true
		}
	}
	for i, other := range t.waiting {
		if other == r {
			heap.Remove(&t.waiting, i)
			t.count--
			t.size -= r.size()
			t.next(r)
			return true
		}
	}
	return false
}

// queue is a heap: runs of requests, then higher priority, then earlier.
type queue []*run

func (q queue) Len() int { return len(q) }
func (q queue) Less(i, j int) bool {
	a, b := q[i], q[j]
	if first, second := a.principal.Request != "", b.principal.Request != ""; first != second {
		return first
	}
	if a.job.priority != b.job.priority {
		return a.job.priority > b.job.priority
	}
	return a.order < b.order
}
func (q queue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *queue) Push(x any)   { *q = append(*q, x.(*run)) }
func (q *queue) Pop() any {
	old := *q
	last := old[len(old)-1]
	*q = old[:len(old)-1]
	return last
}
