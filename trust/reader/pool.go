package reader

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"kpm/core/port"
)

const (
	// readTime bounds one verdict. Whoever asks may have less patience.
	readTime = time.Minute
	// beginTime bounds reading whom to trust.
	beginTime = 30 * time.Second
	// reuseTime is how long a reader may have worked and still be given another
	// file: with readTime it stays below the processor time that it has for its
	// whole life (platform).
	reuseTime = 30 * time.Second
	// refillPause is how long after a reader was taken the next one is started.
	// Whoever waits for the verdict wants the processors first.
	refillPause = 50 * time.Millisecond
)

// Limits are how many readers there may be.
type Limits struct {
	Ready int // are held ready once the first was needed
	Most  int // work at once; who comes later waits
}

// Pool keeps readers that trust whom one Bundle names. Its methods may be called
// concurrently.
type Pool struct {
	confiner port.Confiner
	bundle   []byte // the message
	limits   Limits
	working  chan struct{} // one for each that works

	mu      sync.Mutex
	ready   []*process
	filling *time.Timer // nil while nobody is to be started
	closed  bool
	stop    context.CancelFunc // of filling
	stopped context.Context
	filled  sync.WaitGroup
}

// NewPool returns a Pool that has started no reader yet. The error says that b
// is too large.
func NewPool(confiner port.Confiner, b *Bundle, limits Limits) (*Pool, error) {
	message, err := b.encode()
	if err != nil {
		return nil, fmt.Errorf("reader: %w", err)
	}
	p := &Pool{confiner: confiner, bundle: pack(kindBundle, message), limits: limits, working: make(chan struct{}, limits.Most)}
	p.stopped, p.stop = context.WithCancel(context.Background())
	return p, nil
}

// Start starts a reader that waits. The error says which source of the bundle
// cannot be understood, or why there is no reader: errors.ErrUnsupported where
// the system cannot confine one.
func (p *Pool) Start(ctx context.Context) error {
	r, err := p.start(ctx)
	if err != nil {
		return err
	}
	p.keep(r)
	p.refill()
	return nil
}

// Read has a reader judge f, which is open for reading. An error means that
// nothing is known of the signatures of f, and nothing else is affected: one of
// those above, ctx's, or why no reader could be started.
func (p *Pool) Read(ctx context.Context, f *os.File, q *Question) (Verdict, error) {
	question, err := q.encode()
	if err != nil {
		return Verdict{}, fmt.Errorf("reader: %w", err)
	}
	question = pack(kindQuestion, question)
	ctx, cancel := context.WithTimeoutCause(ctx, readTime, ErrLate)
	defer cancel()
	select {
	case p.working <- struct{}{}:
	case <-ctx.Done():
		return Verdict{}, fmt.Errorf("reader: %w", late(ctx))
	}
	defer func() { <-p.working }()
	for {
		r, waited, err := p.take(ctx)
		if err != nil {
			return Verdict{}, err
		}
		v, err := r.ask(ctx, question, q, f)
		if errors.Is(err, errGone) && waited {
			r.confined.Close()
			continue // it may have been killed while it waited; a fresh one must do
		}
		p.finish(r, q, err)
		if err != nil {
			return Verdict{}, fmt.Errorf("reader: %w", err)
		}
		return v, nil
	}
}

// finish ends a reader, or keeps it.
//
// Attack: a file takes its reader over, which then lies about the files of
// others. So one that has read what a user can change reads nothing else.
func (p *Pool) finish(r *process, q *Question, err error) {
	if q.Protected && err == nil && r.busy < reuseTime {
		p.keep(r)
	} else {
		r.confined.Close()
	}
	p.refill()
}

// take returns a reader, and whether it has been waiting.
func (p *Pool) take(ctx context.Context) (r *process, waited bool, err error) {
	p.mu.Lock()
	if last := len(p.ready) - 1; last >= 0 {
		r, p.ready = p.ready[last], p.ready[:last]
	}
	p.mu.Unlock()
	if r != nil {
		return r, true, nil
	}
	r, err = p.start(ctx)
	return r, false, err
}

// start makes a reader that trusts whom the bundle names.
func (p *Pool) start(ctx context.Context) (*process, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, beginTime, ErrLate)
	defer cancel()
	confined, err := p.confiner.Start(ctx)
	if err != nil {
		return nil, fmt.Errorf("reader: %w", err)
	}
	r := &process{confined: confined}
	if err := r.begin(ctx, p.bundle); err != nil {
		confined.Close()
		return nil, err // of the bundle, as a rule: in its own words
	}
	return r, nil
}

// keep holds a reader ready, if there is a use for it.
func (p *Pool) keep(r *process) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || len(p.ready) >= max(p.limits.Ready, 1) {
		r.confined.Close()
		return
	}
	p.ready = append(p.ready, r)
}

// refill sees to it that enough readers wait, soon.
func (p *Pool) refill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || p.filling != nil || len(p.ready) >= p.limits.Ready {
		return
	}
	p.filled.Add(1)
	p.filling = time.AfterFunc(refillPause, p.fill)
}

// fill starts one reader after the other until enough wait. If one cannot be
// started, whoever needs it will hear of it.
func (p *Pool) fill() {
	defer p.filled.Done()
	for p.wanting() {
		r, err := p.start(p.stopped)
		if err != nil {
			p.mu.Lock()
			p.filling = nil
			p.mu.Unlock()
			return
		}
		p.keep(r)
	}
}

// wanting reports whether too few wait, and ends filling if not.
func (p *Pool) wanting() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.closed && len(p.ready) < p.limits.Ready {
		return true
	}
	p.filling = nil
	return false
}

// Close ends the readers that wait. One at work ends with its file, and so does
// one that is asked for later.
func (p *Pool) Close() {
	p.mu.Lock()
	p.closed = true
	ready := p.ready
	p.ready = nil
	if p.filling != nil && p.filling.Stop() {
		p.filled.Done()
	}
	p.mu.Unlock()
	p.stop()
	for _, r := range ready {
		r.confined.Close()
	}
	p.filled.Wait()
}
