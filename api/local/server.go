package local

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"sync"
	"time"

	"kpm/api/accept"
	"kpm/core"
	"kpm/core/fair"
	"kpm/core/port"
	"kpm/core/signal"
	"kpm/launcher"
)

// Elevator takes one request from beginning to end. launcher.Launcher is one.
type Elevator interface {
	// Elevate asks for, and carries out, one elevation. It closes the files of
	// k, does not return before the outcome is final, and takes the end of ctx
	// as the caller having gone.
	Elevate(ctx context.Context, submitted launcher.Submission, c launcher.Caller, signals <-chan signal.Sent) launcher.Result
}

// Why a caller's context ended.
var (
	errCallerGone = errors.New("the caller is gone")
	errStopping   = errors.New("the service stops")
)

// Config is what a Server needs; every field is required.
type Config struct {
	Elevator Elevator
	// People are who the bounds are counted for.
	People fair.People
	// Silent bounds callers who have not made their request: nobody can keep
	// others out by connecting and waiting. Callers bounds those whose request
	// is being dealt with, until its command runs; one person's others wait for
	// them, unread, for Turn at most.
	Silent, Callers fair.Bounds
	Turn            time.Duration
	// Request is the time for the first frame, descriptors included; Write is
	// the time a caller may take to accept a frame.
	Request, Write time.Duration
	Log            *slog.Logger
}

// Server serves the callers of all its listeners.
type Server struct {
	cfg               Config
	silent            *fair.Revocable[core.UserID]
	turns             *fair.Slots[core.UserID] // whose requests are read, of each person
	open              *fair.Slots[core.UserID]
	refused           *fair.Slots[core.UserID] // callers who are being told that there is no room
	identifying       *fair.Queue[core.UserID]
	mentions          *fair.Mentions
	connects          *fair.Rate[core.UserID]
	tooMany, tooOften composed // what screen says

	mu        sync.Mutex
	listeners []port.DoorListener
	closed    bool
	done      chan struct{}
	loops     sync.WaitGroup
	callers   sync.WaitGroup
	stop      context.CancelCauseFunc
	ctx       context.Context // of all callers; ends when Close loses patience
}

// New returns a server that listens nowhere yet.
func New(cfg Config) *Server {
	s := &Server{
		cfg: cfg, done: make(chan struct{}), mentions: fair.NewMentions(),
		connects:    fair.NewRate[core.UserID](maxConnects, maxConnectsBurst),
		silent:      fair.NewRevocable[core.UserID](cfg.Silent, cfg.People.First),
		turns:       fair.NewSlots[core.UserID](fair.Bounds{Each: cfg.Callers.Each, All: math.MaxInt64}),
		open:        fair.NewSlotsFor[core.UserID](cfg.Callers, cfg.People.First),
		refused:     fair.NewSlots[core.UserID](fair.Bounds{Each: maxRefused, All: cfg.Silent.All}),
		identifying: fair.NewQueue[core.UserID](fair.NewYielder()),
	}
	s.tooMany = compose(s.words(fair.ErrPersonFull, cfg.Silent, silentCallers))
	s.tooOften = compose(fmt.Sprintf("this user connects more than %d times a second: try again in a second", maxConnects))
	s.ctx, s.stop = context.WithCancelCause(context.Background())
	return s
}

// Serve adds a listener. It does not block.
func (s *Server) Serve(ln port.DoorListener) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return fmt.Errorf("api: local: %w", net.ErrClosed)
	}
	s.listeners = append(s.listeners, ln)
	ln.Screen(s.screen)
	s.loops.Go(func() {
		accept.Loop(s.done, ln.Accept, s.admit, func(err error) { s.cfg.Log.Warn("door: accept", "error", err) })
	})
	return nil
}

// Close stops listening and waits for the callers, whose commands run on until
// ctx is done; then it ends them, and waits for them a little longer.
func (s *Server) Close(ctx context.Context) {
	s.mu.Lock()
	first := !s.closed
	s.closed = true
	listeners := s.listeners
	s.mu.Unlock()
	if first {
		close(s.done)
	}
	for _, ln := range listeners {
		ln.Close()
	}
	s.loops.Wait() // from here on no caller is added
	defer s.stop(errStopping)
	gone := make(chan struct{})
	go func() {
		s.callers.Wait()
		close(gone)
	}()
	select {
	case <-gone:
		return
	case <-ctx.Done():
		s.stop(errStopping)
	}
	// Attack: a caller's descriptor cannot even be closed, since their file
	// system does not answer. The service stops without them.
	select {
	case <-gone:
	case <-time.After(lastWait):
		s.cfg.Log.Warn("door: some callers' descriptors cannot be closed")
	}
}

// lastWait is how long callers may take to go when their time is over.
const lastWait = 2 * time.Second
