package jobs

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"kpm/core"
	"kpm/core/wire"
	"kpm/jobs/task"
	"kpm/settings"
)

// maxRuns bounds the runs under way: every open request may have one
// (Requests:MaxOpen at its greatest) with room for everything else, so that
// waiting prompts never keep a launch from starting.
const maxRuns = 4096 + 1024

// Errors of Run.
var (
	ErrUnknown  = core.NewError(core.NotFound, "no such job")
	ErrDisabled = core.NewError(core.Conflict, "the job does not run")
	// ErrOwnEvents is for control and launch jobs (decision 12).
	ErrOwnEvents = core.NewError(core.NotPermitted, "the job starts from its own events only")
	ErrBusy      = core.NewError(core.Conflict, fmt.Sprintf("%d job runs are under way", maxRuns))
	ErrClosed    = core.NewError(core.Conflict, "the service is stopping")
)

// Facts hears what happened. It decides what that means.
type Facts interface {
	// EventUnhandled: no enabled job could be started for the event.
	EventUnhandled(event string, id core.RequestID)
	// JobEnded: a run has ended, with its error or nil. event is empty for a
	// run that was started by name.
	JobEnded(run core.Principal, event string, err error)
}

// Config is what New needs; every field is required.
type Config struct {
	Layout   settings.Layout
	Platform core.Platform
	// BaseEnvironment is what every process starts with (port.Facts).
	BaseEnvironment []string
	// Kinds are the kinds of task that job files may have.
	Kinds task.Kinds
	// Read reads a job file (settings.ReadDocument).
	Read settings.Reader
	// Taken reports whether a plugin has this id.
	Taken func(id string) bool
	// Setting returns an effective plugin setting without reading a file.
	Setting func(plugin, key string) (string, bool)
	// LocalTransport reaches the local API as run.
	LocalTransport func(run core.Principal) http.RoundTripper
	// APIBaseURL is "https://127.0.0.1:{port}", or empty while that port is
	// not held.
	APIBaseURL func() string
	Facts      Facts
	// Completed is told of every run that ended.
	Completed func(wire.JobCompleted)
	Log       *slog.Logger
}

// Service runs jobs. Its methods are safe for concurrent use.
type Service struct {
	cfg Config

	catalog atomic.Pointer[catalog]

	ctx    context.Context // of every run
	cancel context.CancelFunc
	mu     sync.Mutex
	runs   map[string]*run // under way, by run id
	closed bool
	idle   sync.WaitGroup
}

// Trigger starts every enabled job that names the event, higher priority
// first, and returns at once. The caller has checked that the event came from
// who may publish it (docs/wire.md, "Authority").
func (s *Service) Trigger(e wire.Event) {
	var id core.RequestID
	if requestEvent(e.Name) {
		// Only the service publishes these. In any other event a RequestId
		// is a word like every other and gives the run no right.
		value, _ := text(e.Context["RequestId"])
		id = core.RequestID(value)
	}
	started := 0
	for _, j := range s.catalog.Load().byEvent[e.Name] {
		if _, err := s.start(j, e.Name, id, e.Context); err != nil {
			s.cfg.Log.Error("job cannot be started", "job", j.id, "event", e.Name, "request", id, "error", err)
			continue
		}
		started++
	}
	if started == 0 {
		s.cfg.Facts.EventUnhandled(e.Name, id)
	}
}

// Run starts a job by name and returns the run's id without waiting for its
// end. Errors wrap ErrUnknown, ErrDisabled, ErrOwnEvents, ErrParameters,
// ErrBusy or ErrClosed.
func (s *Service) Run(ctx context.Context, id string, params map[string]any) (string, error) {
	c, key := s.catalog.Load(), strings.ToLower(id)
	j, ok := c.jobs[key]
	err := ctx.Err()
	switch {
	case err != nil:
	case !ok && c.broken[key].ID != "":
		err = fmt.Errorf("%w: %s", ErrDisabled, c.broken[key].Detail)
	case !ok:
		err = ErrUnknown
	case j.disabled != "":
		err = fmt.Errorf("%w: %s", ErrDisabled, j.disabled)
	case j.ownEvents():
		err = ErrOwnEvents
	default:
		err = j.check(newVars(params, j.parameters))
	}
	var runID string
	if err == nil {
		runID, err = s.start(j, "", "", params)
	}
	if err != nil {
		return "", fmt.Errorf("job %s: %w", id, err)
	}
	return runID, nil
}

func (s *Service) start(j *job, event string, id core.RequestID, context map[string]any) (string, error) {
	r := &run{
		service: s, job: j, event: event, token: rand.Text(), vars: newVars(context, j.parameters),
		principal: core.Principal{Kind: core.JobRun, Name: j.id, Run: rand.Text(), Request: id},
	}
	r.log = s.cfg.Log.With("job", j.id, "run", r.principal.Run, "request", id)
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return "", ErrClosed
	case len(s.runs) >= maxRuns:
		return "", ErrBusy
	}
	s.runs[r.principal.Run] = r
	s.idle.Add(1)
	go s.complete(r)
	return r.principal.Run, nil
}

// complete runs r to its end and tells everyone.
func (s *Service) complete(r *run) {
	defer s.idle.Done()
	err := r.execute(s.ctx)
	done := wire.JobCompleted{JobID: r.job.id, RunID: r.principal.Run, RequestID: r.principal.Request, Event: r.event, Succeeded: err == nil}
	if err != nil {
		done.Error = wire.PrintableLine(err.Error())
		r.log.Warn("job failed", "event", r.event, "error", err)
	} else {
		r.log.Debug("job ended", "event", r.event)
	}
	s.cfg.Facts.JobEnded(r.principal, r.event, err)
	s.mu.Lock()
	delete(s.runs, r.principal.Run)
	s.mu.Unlock()
	s.cfg.Completed(done)
}

// Close ends every run: programs are killed, waits are cancelled. It returns
// when the last has ended, or with ctx's error.
func (s *Service) Close(ctx context.Context) error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.cancel()
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

// live returns the run that p is, while it is under way.
func (s *Service) live(p core.Principal) *run {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.runs[p.Run]; r != nil && r.principal == p {
		return r
	}
	return nil
}
