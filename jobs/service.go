package jobs

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"kpm/core"
	"kpm/core/view"
	"kpm/core/wire"
	"kpm/jobs/schedule"
	"kpm/jobs/state"
	"kpm/jobs/task"
	"kpm/settings"
)

// Errors of Run.
var (
	ErrUnknown  = core.NewError(core.NotFound, "no such job")
	ErrDisabled = core.NewError(core.Conflict, "the job does not run")
	// ErrOwnEvents is for control and launch jobs (decision 12).
	ErrOwnEvents = core.NewError(core.NotPermitted, "the job starts from its own events only")
	ErrClosed    = core.NewError(core.Conflict, "the service is stopping")
	ErrChain     = core.NewError(core.Conflict, fmt.Sprintf("the run is the end of a chain of %d runs, each started by the one before", maxChain))
)

// maxChain bounds how long runs may start one another: two jobs that raise each
// other's events would go on for ever.
const maxChain = 32

// Facts hears what happened. It decides what that means.
type Facts interface {
	// EventUnhandled: no enabled job could be started for the event, or the
	// conditions of those that name it were not met.
	EventUnhandled(event string, id core.RequestID)
	// JobEnded: a run has ended, with its error or nil. event is empty for a
	// run that was started by name. A run that stood in for another job, as its
	// alternate, is told of by that job's name.
	JobEnded(run core.Principal, event string, err error)
}

// History keeps what runs did.
type History interface {
	schedule.Memory
	// Save keeps a run; when it returns nil, the run survives the service.
	Save(view.JobRun) error
	// Note is Save for what need not be waited for.
	Note(view.JobRun) error
	SaveTask(runID string, task view.TaskRun) error
	Run(id string) (view.JobRun, error)
	Runs(view.JobRunFilter) (view.JobRuns, error)
}

// Files changes job files.
type Files interface {
	WriteAtomic(path string, data []byte, perm os.FileMode) error
}

// Config is what New needs; every field is required.
type Config struct {
	Layout   settings.Layout
	Platform core.Platform
	Version  string
	// BaseEnvironment is what every process starts with (port.Facts).
	BaseEnvironment []string
	// Kinds are the kinds of task that job files may have.
	Kinds task.Kinds
	// Read reads a job file (settings.ReadDocument).
	Read  settings.Reader
	Files Files
	// Taken reports whether a plugin has this id.
	Taken func(id string) bool
	// Setting returns an effective plugin setting without reading a file.
	Setting func(plugin, key string) (string, bool)
	// HasDesktop reports whether a user has a session that can show windows.
	HasDesktop func(user string) bool
	// LocalTransport reaches the local API as run.
	LocalTransport func(run core.Principal) http.RoundTripper
	// APIBaseURL is "https://127.0.0.1:{port}", or empty while that port is
	// not held.
	APIBaseURL func() string
	// MaxRunning bounds the runs under way that act for no request.
	MaxRunning int
	History    History
	Clock      schedule.Clock
	Facts      Facts
	// Completed is told of every run that ended.
	Completed func(wire.JobCompleted)
	Log       *slog.Logger
}

// Service runs jobs. Its methods are safe for concurrent use.
type Service struct {
	cfg   Config
	timer *schedule.Timer

	// begin has complete called for a run, without waiting for it.
	begin func(*run)

	catalog  atomic.Pointer[catalog]
	changing sync.Mutex // held while files are read or changed

	ctx    context.Context // of every run
	cancel context.CancelCauseFunc
	mu     sync.Mutex
	runs   map[string]*run // without an end, by run id
	turns  *turns
	closed bool
	idle   sync.WaitGroup
}

// New reads the job files. A broken one is listed, says why and keeps no other
// from running. The error is that of a directory that cannot be read.
func New(cfg Config) (*Service, error) {
	s := &Service{cfg: cfg, runs: map[string]*run{}, turns: newTurns(cfg.MaxRunning)}
	s.begin = func(r *run) { go s.complete(r) }
	s.timer = schedule.NewTimer(cfg.Clock, cfg.History, s.due)
	read, err := s.read(&catalog{})
	if err != nil {
		return nil, err
	}
	s.catalog.Store(read)
	s.timer.Set(read.schedules())
	s.ctx, s.cancel = context.WithCancelCause(context.Background())
	return s, nil
}

// Serve starts jobs when they are due, until ctx is done.
func (s *Service) Serve(ctx context.Context) { s.timer.Run(ctx) }

// due is told by the timer. It does not wait.
func (s *Service) due(id string, at time.Time) {
	j, ok := s.catalog.Load().jobs[id]
	if !ok || j.disabled != "" {
		return
	}
	_, err := s.start(j, beginning{trigger: view.JobTrigger{Kind: kindSchedule, DueAt: at.UTC()}})
	if err != nil && !errors.Is(err, errPrecedence) {
		s.cfg.Log.Error("job cannot be started", "job", j.id, "due", at, "error", err)
	}
}

// Kinds of trigger.
const (
	kindEvent     = "event"
	kindSchedule  = "schedule"
	kindManual    = "manual"
	kindEvaluate  = "evaluate"
	kindAlternate = "alternate"
	kindRerun     = "rerun"
)

// group is the runs that one event has started. What none of them takes up is
// unhandled. It is guarded by the service's lock.
type group struct {
	event   string
	request core.RequestID
	left    int
	handled bool
}

// Trigger starts every enabled job that names the event, higher priority
// first, and returns at once. The caller has checked that the event came from
// who may publish it (docs/wire.md, "Authority").
func (s *Service) Trigger(from core.Principal, e wire.Event) {
	b := beginning{
		trigger: view.JobTrigger{Kind: kindEvent, Event: e.Name, By: from.String()}, context: e.Context, own: from.Kind == core.Service,
		parent: from.Run, depth: s.depth(from),
	}
	if requestEvent(e.Name) {
		// Only the service publishes these. In any other event a RequestId
		// is a word like every other and gives the run no right.
		value, _ := text(e.Context["RequestId"])
		b.request = core.RequestID(value)
	}
	jobs := s.catalog.Load().byEvent[e.Name]
	// One place more than there are runs, until all are started.
	b.group = &group{event: e.Name, request: b.request, left: len(jobs) + 1}
	for _, j := range jobs {
		if _, err := s.start(j, b); err != nil {
			if !errors.Is(err, errPrecedence) {
				s.cfg.Log.Error("job cannot be started", "job", j.id, "event", e.Name, "request", b.request, "error", err)
			}
			s.resolve(b.group, false)
		}
	}
	s.resolve(b.group, false)
}

// resolve takes one out of a group, and tells what nobody has handled.
func (s *Service) resolve(g *group, handled bool) {
	if g == nil {
		return
	}
	s.mu.Lock()
	g.left--
	g.handled = g.handled || handled
	unhandled := g.left == 0 && !g.handled
	s.mu.Unlock()
	if unhandled {
		s.cfg.Facts.EventUnhandled(g.event, g.request)
	}
}

// depth is how long the chain is that a run started by from is the end of.
func (s *Service) depth(from core.Principal) int {
	if r := s.live(from); r != nil {
		return r.depth + 1
	}
	return 0
}

// Run starts a job by name for by and returns the run's id without waiting for
// its end. Errors wrap ErrUnknown, ErrDisabled, ErrOwnEvents, ErrParameters,
// ErrBusy, ErrChain or ErrClosed.
func (s *Service) Run(ctx context.Context, by core.Principal, id string, params map[string]any) (string, error) {
	r, err := s.run(ctx, id, beginning{
		trigger: view.JobTrigger{Kind: kindManual, By: by.String()}, context: params, parent: by.Run, depth: s.depth(by),
	})
	if err != nil {
		return "", err
	}
	return r.principal.Run, nil
}

// Evaluate runs a job to its end with the context of a decision, as a policy's filter,
// and says whether it succeeded. Errors are those of Run, or ctx's.
func (s *Service) Evaluate(ctx context.Context, by core.Principal, id string, context map[string]any) (view.JobEvaluated, error) {
	r, err := s.run(ctx, id, beginning{
		trigger: view.JobTrigger{Kind: kindEvaluate, By: by.String()}, context: context, own: true, parent: by.Run, depth: s.depth(by),
	})
	if err != nil {
		return view.JobEvaluated{}, err
	}
	select {
	case <-r.done:
	case <-ctx.Done():
		_ = s.Cancel(r.principal.Run, by)
		return view.JobEvaluated{}, core.WithKind(core.Unavailable, fmt.Errorf("job %s: no answer in time: %w", id, ctx.Err()))
	}
	shown := r.shown()
	return view.JobEvaluated{RunID: shown.ID, Passed: shown.State == string(state.Succeeded), Reason: shown.Reason}, nil
}

func (s *Service) run(ctx context.Context, id string, b beginning) (*run, error) {
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
		context := b.context
		if !b.own {
			context, _ = foreign(context)
		}
		err = j.check(newVars(context, j.parameters))
	}
	var r *run
	if err == nil {
		r, err = s.start(j, b)
	}
	if err != nil {
		return nil, fmt.Errorf("job %s: %w", id, err)
	}
	return r, nil
}

// beginning is why a run starts, and with what.
type beginning struct {
	trigger view.JobTrigger
	request core.RequestID
	context map[string]any
	own     bool   // the context is the service's own
	parent  string // the run that started it
	depth   int
	group   *group
	// standsFor is the job that this one is the alternate of; empty if it is none.
	standsFor string
}

// start takes a run in. It does not wait for it to begin.
func (s *Service) start(j *job, b beginning) (*run, error) {
	if b.depth >= maxChain {
		return nil, ErrChain
	}
	r := s.newRun(j, b)
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil, ErrClosed
	}
	replaced, err := s.turns.enter(r)
	if err != nil {
		s.mu.Unlock()
		r.refused(err)
		return nil, err
	}
	s.runs[r.principal.Run] = r
	waits := !slices.Contains(s.dispatch(), r)
	s.mu.Unlock()
	for _, other := range replaced {
		s.stop(other, fmt.Errorf("run %s of the job has taken its place", r.principal.Run))
	}
	if waits {
		r.note()
	}
	return r, nil
}

// dispatch begins the runs whose turn it is. The lock is held.
func (s *Service) dispatch() []*run {
	begun := s.turns.begun()
	for _, r := range begun {
		s.idle.Add(1)
		s.begin(r)
	}
	return begun
}

func (s *Service) newRun(j *job, b beginning) *run {
	context, refused := b.context, []string(nil)
	if !b.own {
		context, refused = foreign(b.context)
	}
	r := &run{
		service: s, job: j, key: strings.ToLower(j.id), beginning: b, token: rand.Text(), vars: newVars(context, j.parameters),
		principal: core.Principal{Kind: core.JobRun, Name: j.id, Run: rand.Text(), Request: b.request}, done: make(chan struct{}),
	}
	r.ctx, r.cancel = cancellable(s.ctx)
	r.mask = newMask(r.vars, j.parameters)
	r.log = s.cfg.Log.With("job", j.id, "run", r.principal.Run, "request", b.request)
	if len(refused) > 0 {
		r.log.Warn("these names come from the service alone and were left out of what the job was started with", "names", refused)
	}
	r.record = view.JobRun{
		ID: r.principal.Run, JobID: j.id, JobName: j.name, State: string(state.Queued), Trigger: b.trigger, RequestID: b.request,
		ParentID: b.parent, Priority: j.priority, CreatedAt: time.Now().UTC(), ContextIn: r.mask.object(r.vars.given, r.vars.names),
	}
	return r
}

// cancellable names the context package where "context" is a run's.
func cancellable(parent context.Context) (context.Context, context.CancelCauseFunc) {
	return context.WithCancelCause(parent)
}

// complete runs r to its end and tells everyone.
func (s *Service) complete(r *run) {
	defer s.idle.Done()
	err := r.execute(r.ctx)
	s.mu.Lock()
	delete(s.runs, r.principal.Run)
	s.turns.leave(r)
	s.dispatch()
	s.mu.Unlock()
	s.tell(r, err)
}

// tell says that a run has ended.
func (s *Service) tell(r *run, err error) {
	skipped := r.is(state.Skipped)
	done := wire.JobCompleted{
		JobID: r.job.id, RunID: r.principal.Run, RequestID: r.principal.Request, Event: r.trigger.Event,
		Succeeded: err == nil && !skipped, Skipped: skipped,
	}
	switch {
	case skipped:
		r.log.Info("job skipped", "event", r.trigger.Event, "reason", err)
		done.Error = wire.PrintableLine(r.mask.text(err.Error()))
	case err != nil:
		done.Error = wire.PrintableLine(r.mask.text(err.Error()))
		r.log.Warn("job failed", "event", r.trigger.Event, "error", done.Error)
	default:
		r.log.Debug("job ended", "event", r.trigger.Event)
	}
	if !skipped {
		as := r.principal
		if r.standsFor != "" {
			as.Name = r.standsFor
		}
		s.cfg.Facts.JobEnded(as, r.trigger.Event, err)
	}
	s.resolve(r.group, !skipped)
	s.cfg.Completed(done)
	close(r.done)
}

// Cancel ends a run that has no end yet: its program is killed with its launch group.
// Errors wrap ErrNoRun.
func (s *Service) Cancel(runID string, by core.Principal) error {
	s.mu.Lock()
	r := s.runs[runID]
	s.mu.Unlock()
	if r == nil {
		if _, err := s.cfg.History.Run(runID); err != nil {
			return err
		}
		return ErrEnded
	}
	s.stop(r, fmt.Errorf("cancelled by %s", by))
	return nil
}

// ErrEnded is returned for a run that cannot be cancelled any more.
var ErrEnded = core.NewError(core.Conflict, "the run has ended")

// stop ends a run, wherever it is.
func (s *Service) stop(r *run, why error) {
	r.cancel(why)
	s.mu.Lock()
	waited := s.turns.withdraw(r)
	if waited {
		delete(s.runs, r.principal.Run)
		s.dispatch()
	}
	s.mu.Unlock()
	if waited {
		_ = r.end(state.Cancel, why)
		s.tell(r, why)
	}
}

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
