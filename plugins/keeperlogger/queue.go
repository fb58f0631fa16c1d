package keeperlogger

import (
	"strings"
	"sync"
	"time"
)

// Limits of what waits to be written, in bytes. One publisher's flood leaves
// room for the others.
const (
	maxQueued = 4 << 20
	maxOne    = maxQueued / 2
)

// entry is a record as it is written. Rendered when it arrives: what waits is as
// long as a line, however long the message was.
type entry struct {
	level     string
	publisher string
	text      []byte // with its line break; nil if nothing wants it
	json      []byte // without
}

func (e *entry) size() int { return len(e.text) + len(e.json) + 64 }

// sink takes records from the queue, one at a time. It must not wait for long.
type sink interface {
	write(e entry)
	close()
}

// queue holds records between the connection's reader, which must not wait, and
// the disk. What does not fit is counted, and the count is written.
type queue struct {
	levels     levels
	text, json bool
	sinks      []sink
	now        func() time.Time

	mu     sync.Mutex
	wait   []entry
	bytes  int
	each   map[string]int // bytes by publisher
	lost   int
	closed bool
	wake   chan struct{}
	ended  chan struct{}
}

func newQueue(cfg config, now func() time.Time, sinks ...sink) *queue {
	q := &queue{
		levels: cfg.levels, text: !cfg.json || cfg.system != "off", json: cfg.json || cfg.http.url != "", sinks: sinks, now: now,
		each: map[string]int{}, wake: make(chan struct{}, 1), ended: make(chan struct{}),
	}
	go q.run()
	return q
}

// take never blocks.
func (q *queue) take(payload []byte) {
	if r, ok := parse(payload, q.now()); ok && q.levels.wants(r.source, r.level) {
		q.add(r)
	}
}

// say queues a record of the logger's own.
func (q *queue) say(level, message string) {
	q.add(record{at: q.now(), level: level, source: ID, message: message})
}

func (q *queue) add(r record) {
	e := q.entry(r)
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return
	}
	n := e.size()
	if q.bytes+n > maxQueued || q.each[e.publisher]+n > maxOne {
		q.lost++
		return
	}
	q.wait = append(q.wait, e)
	q.bytes += n
	q.each[e.publisher] += n
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

func (q *queue) entry(r record) entry {
	publisher, _, _ := strings.Cut(r.source, "/")
	e := entry{level: r.level, publisher: publisher[:min(len(publisher), maxSource)]}
	if q.text {
		e.text = r.line()
	}
	if q.json {
		e.json = r.object()
	}
	return e
}

// run writes until the queue is closed and empty.
func (q *queue) run() {
	defer close(q.ended)
	for {
		q.mu.Lock()
		batch, lost, closed := q.wait, q.lost, q.closed
		q.wait, q.lost, q.bytes = nil, 0, 0
		clear(q.each)
		q.mu.Unlock()
		for _, e := range batch {
			q.write(e)
		}
		if lost > 0 {
			q.write(q.entry(record{at: q.now(), level: "Warning", source: ID,
				message: "messages came faster than they could be written, and are lost", fields: map[string]any{"messages": lost}}))
		}
		switch {
		case len(batch) > 0:
		case closed:
			return
		default:
			<-q.wake
		}
	}
}

func (q *queue) write(e entry) {
	for _, s := range q.sinks {
		s.write(e)
	}
}

// close writes what waits, and closes the sinks.
func (q *queue) close() {
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
	select {
	case q.wake <- struct{}{}:
	default:
	}
	<-q.ended
	for _, s := range q.sinks {
		s.close()
	}
}
