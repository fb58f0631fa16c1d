package execution

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path"
	"slices"
	"sync"
	"time"

	"kpm/core"
	"kpm/core/fair"
	"kpm/core/port"
	"kpm/core/wire"
	"kpm/launcher/journal"
)

// Config is what a Server works with. Every field without a default is required.
type Config struct {
	Control port.ExecutionControl
	// Consult asks KeeperPolicy.
	Consult func(context.Context, wire.PolicyRequest) (wire.PolicyResponse, error)
	// Granted reports whether somebody holds a grant to execute the file at path, of
	// that device and inode, which policies hold up; nil is no grants.
	Granted func(user core.UserID, path string, device, inode uint64) bool
	// Append writes to the journal.
	Append func(journal.Record) error
	// Name returns what a user is called; empty if nobody knows.
	Name    func(core.UserID) string
	Machine func() string
	// People says who is one person to every bound; the zero value is each user.
	People fair.People
	// Refused hears that a person was kept from starting a program, as often as they are
	// to be told; the program does not wait for it. Optional.
	Refused func(Refusal)
	// Changed hears that Down may have other news. It must not block. Optional.
	Changed func()
	Log     *slog.Logger
}

// Times of the Server. An order takes a moment; a Holder that ends is started again
// after first, and after twice as long each time, up to longest.
const (
	callTime = 2 * Deadline
	first    = time.Second
	longest  = time.Minute
)

// Bounds of the questions that KeeperPolicy is asked at once, of one user's and of
// all.
const (
	maxUserAsked = 4
	maxAsked     = 32
)

// ErrOff is why nothing is stopped where nobody has switched that on.
var ErrOff = core.NewError(core.Unavailable, "nothing stops programs before they run: Interception:Executions is off")

var errStarting = core.NewError(core.Unavailable, "what stops programs before they run is being started")

// Server keeps a Holder running while it is switched on, and decides what that asks.
// Its methods may be called concurrently.
type Server struct {
	cfg     Config
	asked   *fair.Slots[core.UserID]
	records *records
	tell    *teller
	wake    chan struct{} // Run is to look again

	mu         sync.Mutex
	on         bool
	mounts     []string
	files      bool   // policies restrict executions
	children   bool   // policies say what commands may start
	generation string // of policies
	link       *link  // nil if no Holder runs
	fault      error  // why not
	commands   map[string]*command
	groups     map[core.ProcessID]string
}

// New returns a Server that is switched off.
func New(cfg Config) *Server {
	return &Server{
		cfg: cfg, asked: fair.NewSlots[core.UserID](fair.Bounds{Each: maxUserAsked, All: maxAsked}),
		records: newRecords(cfg), tell: newTeller(cfg), wake: make(chan struct{}, 1),
		commands: map[string]*command{}, groups: map[core.ProcessID]string{},
	}
}

// Switch turns it on or off. Of mounts, if there are any, only the file systems at
// these are watched.
func (s *Server) Switch(on bool, mounts []string) {
	s.mu.Lock()
	changed := s.on != on || !slices.Equal(s.mounts, mounts)
	s.on, s.mounts = on, mounts
	l := s.link
	s.mu.Unlock()
	if changed && l != nil {
		l.conn.Close() // and started again, if it is on
	}
	s.look()
}

func (s *Server) look() {
	select {
	case s.wake <- struct{}{}:
	default: // it will
	}
}

// Policies is told with each answer of KeeperPolicy which policies it is from, whether
// any of them restricts executions, and whether any says what commands may start.
func (s *Server) Policies(generation string, executions, children bool) {
	s.mu.Lock()
	if generation == "" || generation == s.generation {
		s.mu.Unlock()
		return
	}
	s.generation, s.files, s.children = generation, executions, children
	l, w := s.link, s.watch()
	s.mu.Unlock()
	s.changed()
	if l != nil {
		l.tell(order{Watch: w, Forget: true})
	}
}

// watch is what the Holder is to watch. The caller holds mu.
func (s *Server) watch() *watch { return &watch{Files: s.files, Mounts: s.mounts} }

// Ready returns nil if what commands start is stopped; otherwise the error says why
// it is not, and what to do.
func (s *Server) Ready() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ready()
}

func (s *Server) ready() error {
	switch {
	case !s.on:
		return ErrOff
	case s.link != nil:
		return nil
	case s.fault != nil:
		return s.fault
	}
	return errStarting
}

// Run keeps a Holder running until ctx is done.
func (s *Server) Run(ctx context.Context) {
	wait := first
	for {
		select {
		case <-s.wake: // this is the look
		default:
		}
		var again <-chan time.Time
		if s.isOn() {
			begun := time.Now()
			err := s.hold(ctx)
			if time.Since(begun) > longest {
				wait = first
			}
			if err != nil && ctx.Err() == nil && s.isOn() {
				if errors.Is(err, errors.ErrUnsupported) || errors.Is(err, core.ErrSwitchedOff) {
					s.cfg.Log.Error("programs are not stopped before they run, until settings are read again", "error", err)
				} else {
					s.cfg.Log.Error("programs are not stopped before they run", "error", err, "again_in", wait.String())
					again = time.After(wait)
					wait = min(2*wait, longest)
				}
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-again:
		case <-s.wake:
		}
	}
}

func (s *Server) isOn() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.on
}

// hold runs one Holder to its end.
func (s *Server) hold(ctx context.Context) (err error) {
	defer func() {
		s.mu.Lock()
		s.link, s.fault = nil, err
		s.mu.Unlock()
		s.changed()
	}()
	conn, err := s.cfg.Control.Start()
	if err != nil {
		return err
	}
	l := newLink(conn)
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	defer l.end()
	ended := make(chan error, 1)
	go func() { ended <- l.read(func(r report) { s.heard(ctx, l, r) }) }()
	begin, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	// Under the lock: a command that enters meanwhile enters after these.
	s.mu.Lock()
	l.tell(order{Watch: s.watch()})
	for group := range s.commands {
		l.tell(order{Enter: group})
	}
	s.link, s.fault = l, nil
	s.mu.Unlock()
	if err := l.call(begin, order{Forget: true}); err != nil {
		conn.Close()
		<-ended
		return fmt.Errorf("watch executions: %w", err)
	}
	s.cfg.Log.Info("programs are stopped before they run")
	s.changed()
	err = <-ended
	l.work.Wait()
	if ctx.Err() == nil && s.isOn() {
		why := errEnded
		if err != nil {
			why = fmt.Errorf("%w: %w", errEnded, err)
		}
		// The way out was taken while it ran: that is on record as what it is.
		if off := s.cfg.Control.Ready(); errors.Is(off, core.ErrSwitchedOff) {
			why = off
		}
		s.records.lifted(why)
		return why
	}
	return nil
}

var errEnded = errors.New("keeperexec has ended, and executions go on without a decision until there is another one")

// heard takes a report.
func (s *Server) heard(ctx context.Context, l *link, r report) {
	switch {
	case r.Done != 0:
		l.done(r)
	case r.Unanswered != nil:
		s.records.unanswered(s.person(*r.Unanswered), *r.Unanswered, r.Count, s.requestOf(r.Unanswered.Group))
	case r.Question != nil:
		q := *r.Question
		l.work.Go(func() { s.answer(ctx, l, q) })
	}
}

func (s *Server) requestOf(group string) core.RequestID {
	c, _ := s.command(group)
	return c.Request
}

// ruling is what was decided, and why.
type ruling struct {
	allow, everybody, once bool
	// answer is what KeeperPolicy said; about is empty if it was not asked.
	answer  wire.PolicyResponse
	request core.RequestID // of the elevated command
	cause   string         // empty if there is nothing to record
	user    string
	person  core.UserID // whose command or program it is
}

// answer decides, and tells the Holder. What cannot be decided in time has no answer.
func (s *Server) answer(ctx context.Context, l *link, q question) {
	ctx, cancel := context.WithTimeout(ctx, Deadline)
	defer cancel()
	person := s.person(q)
	r, err := s.decide(ctx, person, q)
	if err != nil {
		s.cfg.Log.Warn("an execution is not decided about", "program", wire.Printable(q.Path), "user", q.User, "error", err)
		return
	}
	l.tell(order{Answer: &answer{ID: q.ID, Allow: r.allow, Everybody: r.everybody, Once: r.once}})
	s.records.decided(person, q, r)
	s.tell.decided(person, q, r)
}

// decide waits for one of the person's places to ask. It has given that back when it
// returns. Attack: a refusal that takes long to be told keeps the places, and what is
// executed next goes on without a decision.
func (s *Server) decide(ctx context.Context, person core.UserID, q question) (ruling, error) {
	slot, err := s.asked.Take(ctx, person, 1)
	if err != nil {
		return ruling{}, err
	}
	defer slot.Release()
	if q.Group != "" {
		return s.child(ctx, q)
	}
	return s.file(ctx, q)
}

// person is whose places and records a question uses up: of what an elevated command
// starts, whoever asked for that. Attack: commands of one person, which all run as
// root, use up what is root's, and those of another go on without a decision or a record.
func (s *Server) person(q question) core.UserID {
	if c, known := s.command(q.Group); known && c.Question.UserID != "" {
		return s.cfg.People.Of(c.Question.UserID)
	}
	return s.cfg.People.Of(q.User)
}

// file decides by policies of type FileAccess.
func (s *Server) file(ctx context.Context, q question) (ruling, error) {
	asked := about(q, wire.PolicyRequest{EventType: wire.EventExecution, UserID: q.User, UserName: s.name(q.User), MachineName: s.cfg.Machine()})
	a, err := s.cfg.Consult(ctx, asked)
	if err != nil {
		return ruling{}, err
	}
	r := ruling{allow: a.Decision == core.Allow, everybody: a.Unrestricted && !q.Elsewhere, answer: a, user: asked.UserName, person: q.User}
	if a.Decision == core.Pending && s.cfg.Granted != nil {
		// Attack: in a namespace of one's own another file has the name of the granted one.
		r.allow = !q.Elsewhere && s.cfg.Granted(q.User, q.Path, q.Device, q.Inode)
		r.once = true // it may be over the next time, or be given
	}
	if !r.allow {
		r.cause = causeFile
	}
	return r, nil
}

// name is never empty: KeeperPolicy takes nobody without one.
func (s *Server) name(user core.UserID) string {
	if name := s.cfg.Name(user); name != "" {
		return name
	}
	return "#" + string(user)
}

// base is what a program is called without its folder.
func base(q question) string { return path.Base(q.Path) }
