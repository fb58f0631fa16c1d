package jobs

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"kpm/core"
	"kpm/core/metrics"
	"kpm/core/reserve"
	"kpm/jobs/schedule"
	"kpm/jobs/state"
)

// Service runs jobs. Its methods are safe for concurrent use.
type Service struct {
	cfg     Config
	history History         // first opens it
	timer   *schedule.Timer // first makes it

	// begin has complete called for a run, without waiting for it.
	begin func(*run)

	first    func() error // opens the history and reads the files, once
	catalog  atomic.Pointer[catalog]
	changing sync.Mutex // held while files are read or changed

	ctx    context.Context // of every run
	cancel context.CancelCauseFunc
	mu     sync.Mutex
	runs   map[string]*run // without an end, by run id
	turns  *turns
	closed bool
	idle   sync.WaitGroup

	ended metrics.Counters[state.State] // runs, by their last state
	took  metrics.Histogram             // from when a run was wanted to its end
}

// Prepare makes a service whose history is opened and whose job files are read by Read,
// or by whoever needs one first: all others wait for that.
func Prepare(cfg Config) *Service {
	s := &Service{cfg: cfg, runs: map[string]*run{}, turns: newTurns(cfg.MaxRunning)}
	s.begin = func(r *run) {
		go func() {
			r.wait()
			reserve.Stack()
			s.complete(r)
		}()
	}
	s.ctx, s.cancel = context.WithCancelCause(context.Background())
	s.first = sync.OnceValue(s.readFirst)
	return s
}

// Read opens the history and reads the job files, unless that was done. A broken file is
// listed, says why and keeps no other from running. The error is the history's, or that of
// a directory that cannot be read.
func (s *Service) Read() error { return s.first() }

func (s *Service) readFirst() error {
	s.catalog.Store(&catalog{})
	read, err := s.open()
	if err != nil {
		// Most who need a job hear no more than that there is none.
		s.cfg.Log.Error("there are no jobs", "error", err)
		return err
	}
	s.catalog.Store(read)
	s.timer.Set(read.schedules())
	return nil
}

// open opens the history, and reads the files for the first time.
func (s *Service) open() (*catalog, error) {
	history, err := s.cfg.History()
	if err != nil {
		return nil, err
	}
	s.history, s.timer = history, schedule.NewTimer(s.cfg.Clock, history, s.due)
	return s.read(&catalog{})
}

// held is the job files as they were read last. Where they could not be read at all there
// are none.
func (s *Service) held() *catalog {
	_ = s.first()
	return s.catalog.Load()
}

// Serve starts jobs when they are due, until ctx is done.
func (s *Service) Serve(ctx context.Context) { s.timer.Run(ctx) }

// Close ends every run: programs are killed, waits are cancelled. It returns
// when the last has ended, or with ctx's error.
func (s *Service) Close(ctx context.Context) error {
	s.mu.Lock()
	s.closed = true
	all := make([]*run, 0, len(s.runs))
	for _, r := range s.runs {
		all = append(all, r)
	}
	s.mu.Unlock()
	for _, r := range all {
		s.stop(r, ErrClosed)
	}
	s.cancel(ErrClosed)
	ended := make(chan struct{})
	go func() {
		s.idle.Wait()
		close(ended)
	}()
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("jobs: close: %w", ctx.Err())
	}
}

// Token returns the secret of a run under way; empty for any other principal.
func (s *Service) Token(p core.Principal) string {
	if r := s.live(p); r != nil {
		return r.token
	}
	return ""
}

// Allowed reports whether the job file of a run under way names this request
// of the local API (decision 16).
func (s *Service) Allowed(p core.Principal, method, path string) bool {
	r := s.live(p)
	return r != nil && slices.Contains(r.job.allowed, method+" "+path)
}

// live returns the run that p is, while it has no end.
func (s *Service) live(p core.Principal) *run {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.runs[p.Run]; r != nil && r.principal == p {
		return r
	}
	return nil
}
