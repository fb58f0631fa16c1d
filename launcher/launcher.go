package launcher

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"strings"
	"sync"
	"time"

	"kpm/core"
	"kpm/core/controls"
	"kpm/core/dialog"
	"kpm/core/fair"
	"kpm/core/port"
	"kpm/core/wire"
	"kpm/launcher/approval"
	"kpm/launcher/control"
	"kpm/launcher/grant"
	"kpm/launcher/journal"
	"kpm/launcher/request"
	"kpm/launcher/seal"
	"kpm/launcher/start"
)

// Bus is how the launcher asks and tells; the answers come back through Answer
// and the jobs.
type Bus interface {
	// Ask publishes a question for KeeperPolicy.
	Ask(ctx context.Context, q wire.PolicyRequest) error
	// Probe asks KeeperPolicy a question of the service's own, called id; the
	// answer comes through PolicyProbed.
	Probe(ctx context.Context, id string) error
	// List asks KeeperPolicy what somebody may run, in a question called id; the
	// answer comes through PolicyListed.
	List(ctx context.Context, id string, q wire.PolicyRequest) error
	// Raise publishes an event that starts jobs.
	Raise(ctx context.Context, e wire.Event) error
}

// Config is what a Launcher works with. Every field without a default is
// required.
type Config struct {
	Facts     port.Facts
	Launcher  port.Launcher
	Tree      port.ProcessTree
	Terminals port.Terminals
	Sealer    *seal.Sealer
	Registry  *start.Registry
	Journal   *journal.Journal
	Bus       Bus
	// Table says what each control does, Controls are those that can be
	// satisfied here.
	Table    controls.Table
	Controls []control.Control
	// Approvals are those that callers wait for; nil where there are none.
	Approvals Approvals
	// Contacts are whom somebody asks for what no policy allows them, as people are told;
	// nil for nobody in particular.
	Contacts func(ctx context.Context, user core.Account) []string
	// Challenge is what the requester of an approval reads to the help desk for a code,
	// empty if there are no codes; nil for that.
	Challenge func(*approval.Record) string
	// Machine returns this machine's name, as policies know it, at this moment;
	// empty if it has none.
	Machine func() string
	// Behind says who is behind a process; nil where nobody knows.
	Behind func(core.ProcessID) (core.Origin, error)
	// Grants keeps what need not be asked again; nil keeps nothing.
	Grants *grant.Store
	// Transient makes accounts for one command each; nil where that cannot be.
	Transient Transient
	// SessionOf returns the login session of a process, as port.Sessions does;
	// nil where nobody knows.
	SessionOf func(core.ProcessID) (core.SessionID, error)
	// TerminalOf returns the controlling terminal of a process, as port.Sessions
	// does; nil where nobody knows: then nothing is remembered.
	TerminalOf func(core.ProcessID) (core.Terminal, error)
	// Files gives access to files; nil where nobody does.
	Files FileAccess
	// Desktop returns the session in which a user sees windows: the one that is named,
	// if it is such, or another one of theirs. nil where nobody knows.
	Desktop func(user core.UserID, session core.SessionID) (core.SessionID, bool)
	// Elsewhere returns what asks whoever made a request at another terminal of theirs,
	// false if nothing does; nil for that.
	Elsewhere func(asking core.Peer) (dialog.Show, bool)
	// Memory is who was verified a short time ago.
	Memory Memory
	Limits request.Limits
	// People are who the limits are counted for.
	People fair.People
	// Redirects are the rules by which something else is launched; nil if there
	// are none.
	Redirects Redirects
	// Children decides about what commands start; nil where nothing does.
	Children Children
	// LaunchJob is the only job that may launch; "LaunchPrivilegeElevation" if
	// empty. ControlJob is the one whose end without result fails a pending
	// request; "privilege-elevation-policy-controls" if empty.
	LaunchJob, ControlJob string
	// Grace is how long a command has to end after its caller has gone, 2 s
	// if 0.
	Grace time.Duration
	// Crowd is told how many requests are open whenever that changes; it does not
	// block. Optional.
	Crowd func(open int)
	// ProbeEvery is how often a policy plugin that is asked nothing is probed,
	// 5 s if 0. Silent, if not nil, is told when it does not answer: whoever
	// keeps it running starts another one.
	ProbeEvery time.Duration
	Silent     func()
	// Changed, if not nil, is told when Obstacles may have other news. It must
	// not block.
	Changed func()
	// Told, if not nil, hears of each command when it runs, and of each request that
	// was opened and not carried out. It must not block.
	Told func(Told)
	Log  *slog.Logger
}

// lastWait is how long requests may take to end when everything has been done
// to end them.
const lastWait = 2 * time.Second

// Launcher carries out elevations. Its methods may be called concurrently.
type Launcher struct {
	cfg   Config
	store *request.Store
	quota *fair.Rate[core.UserID]  // bytes in the journal
	asked *fair.Slots[core.UserID] // bytes before the policy plugin

	running, work *fair.Slots[core.UserID] // requests
	closing       *fair.Slots[core.UserID] // requests whose descriptors are being closed
	mentions      *fair.Mentions
	crowd         crowd
	listings      *listings
	stats         *stats
	desks         desks

	mu      sync.Mutex
	active  map[core.RequestID]*elevation
	present map[journal.Caller]bool // callers whose request is under way, by Process
	resumed map[journal.Caller]*resumed
	stuck   map[core.ProcessID]func() // what releases the slot of a child that does not end
	decider decider
	closed  bool

	elevations sync.WaitGroup // Elevate calls
	detach     chan struct{}  // closed by Close: commands are left to themselves

	leftovers leftovers
}

// New returns a Launcher.
func New(cfg Config) *Launcher {
	if cfg.LaunchJob == "" {
		cfg.LaunchJob = wire.EventLaunch
	}
	if cfg.ControlJob == "" {
		cfg.ControlJob = "privilege-elevation-policy-controls"
	}
	if cfg.Grace == 0 {
		cfg.Grace = 2 * time.Second
	}
	if cfg.ProbeEvery == 0 {
		cfg.ProbeEvery = 5 * time.Second
	}
	l := &Launcher{
		cfg:    cfg,
		quota:  newQuota(cfg.Journal.Capacity()),
		asked:  fair.NewSlots[core.UserID](fair.Bounds{Each: maxUserAsked, All: maxAsked}),
		active: map[core.RequestID]*elevation{},
		stuck:  map[core.ProcessID]func(){}, listings: newListings(), present: map[journal.Caller]bool{}, resumed: map[journal.Caller]*resumed{},
		detach: make(chan struct{}), mentions: fair.NewMentions(), crowd: crowd{tell: cfg.Crowd},
	}
	l.decider.since = time.Now()
	l.leftovers = leftovers{launcher: l, left: map[core.RequestID]leftover{}, stop: make(chan struct{})}
	l.running, l.work = newBounds(cfg)
	l.closing = fair.NewSlots[core.UserID](fair.Bounds{Each: maxUserClosed, All: math.MaxInt64})
	l.stats = newStats()
	l.store = request.NewStore(cfg.Limits, cfg.People.First, l.record)
	l.store.Observe(l.stats.moved)
	return l
}

// limits are those of requests that are opened now.
func (l *Launcher) limits() request.Limits { return l.store.Limits() }

// SetTimes changes how long requests that are opened from now on may take.
func (l *Launcher) SetTimes(evaluate, prompt, launch time.Duration) {
	l.store.SetTimes(evaluate, prompt, launch)
}

// State returns the state of an open or recently finished request.
func (l *Launcher) State(id core.RequestID) (request.State, bool) { return l.store.State(id) }

// record writes what happened to a request. The request calls it before it
// moves (docs/wire.md, "States of a request").
func (l *Launcher) record(id core.RequestID, record string, f request.Fact) error {
	r := journal.Record{
		Type: journal.Type(record), Request: id, By: f.By.String(), Cause: string(f.Cause), Message: withDetail(f), NotRun: f.NotRun,
		Controls: f.Controls, Policies: f.Policies, Paths: f.Paths, Exit: f.Exit, Millis: f.Elapsed.Milliseconds(), Grants: f.Grants, Children: f.Children,
	}
	if f.Monitored != nil {
		if err := l.cfg.Journal.Append(monitored(id, f)); err != nil {
			return err
		}
	}
	if f.Group != "" {
		r.Child = &journal.Child{PID: f.Child.PID, Start: f.Child.Start, Group: f.Group}
	}
	err := l.cfg.Journal.Append(r)
	if err != nil {
		l.changed()
	}
	return err
}

// maxDetail bounds what a record says beyond what the caller is told, in bytes.
const maxDetail = 1 << 10

// withDetail is what the journal says of f.
func withDetail(f request.Fact) string {
	if f.Detail == "" {
		return f.Message
	}
	detail := f.Detail[:min(len(f.Detail), maxDetail)]
	return f.Message + ": " + wire.PrintableLine(strings.ToValidUTF8(detail, ""))
}

// find returns an open elevation.
func (l *Launcher) find(id core.RequestID) (*elevation, error) {
	if _, err := l.store.Get(id); err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	e, ok := l.active[id]
	if !ok {
		return nil, fmt.Errorf("launcher: %w", request.ErrUnknown)
	}
	return e, nil
}

// all returns the open elevations.
func (l *Launcher) all() []*elevation {
	l.mu.Lock()
	defer l.mu.Unlock()
	list := make([]*elevation, 0, len(l.active))
	for _, e := range l.active {
		list = append(list, e)
	}
	return list
}

// Close ends in good order: what does not run yet fails at once, and running
// commands are left alone (decision 32). Callers of both are told nothing: they
// ask again, and the next service answers. Close returns when every Elevate
// has, or with an error when one cannot. It is called once.
func (l *Launcher) Close(ctx context.Context) error {
	l.mu.Lock()
	l.closed = true
	if l.decider.timer != nil {
		l.decider.timer.Stop()
	}
	l.settle()
	l.mu.Unlock()
	for _, e := range l.all() {
		for _, s := range []request.State{request.Opened, request.Evaluating, request.Pending, request.Allowed, request.Launching} {
			stopping := fact(request.Fault, "the service is stopping")
			stopping.In = s
			l.apply(e, stopping)
		}
	}
	close(l.detach)
	ended := make(chan struct{})
	go func() {
		l.elevations.Wait()
		close(ended)
	}()
	select {
	case <-ended:
	case <-ctx.Done():
		// Attack: a caller's own file system does not answer, and what was
		// begun for them cannot even be broken off.
		select {
		case <-ended:
		case <-time.After(lastWait):
			return fmt.Errorf("launcher: close: some requests do not end: %w", ctx.Err())
		}
	}
	return l.leftovers.close()
}
