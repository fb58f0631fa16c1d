package plugins

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"kpm/core"
	"kpm/core/port"
	"kpm/core/view"
	"kpm/settings"
)

// Starter starts a process as the service account, or in a user's session. It
// checks that the program is Protected and registers the process before it runs.
type Starter interface {
	StartService(ctx context.Context, s core.ServiceSpec) (port.Process, error)
	StartInSession(ctx context.Context, s core.ServiceSpec, in core.Session) (port.Process, error)
}

// Config is what New needs; Sessions, SessionsChanged, InProcess, Exited, Ping, Decider, Absent
// and Beside may be left out.
type Config struct {
	Layout   settings.Layout
	Platform core.Platform
	// BaseEnvironment is what every process starts with (port.Facts).
	BaseEnvironment []string
	Monitoring      settings.Monitoring
	// Read reads a plugin file (settings.ReadDocument).
	Read settings.Reader
	// Effective is given the settings of every plugin file.
	Effective *settings.Effective
	Starter   Starter
	// Sessions says who is logged in, and UserName what that user is called.
	Sessions port.Sessions
	UserName func(core.UserID) (string, error)
	// SessionsChanged says that somebody may have logged in or out; without it that
	// is found out in time.
	SessionsChanged <-chan struct{}
	// InProcess are the plugins that are a part of this program, by id.
	InProcess map[string]Service
	// Ping publishes on a plugin's topic that it is to say something. It must
	// not wait for the plugin.
	Ping func(id, topic string) error
	// APIBaseURL is "https://127.0.0.1:{port}", or empty while that port is
	// not held.
	APIBaseURL func() string
	// Exited is told each time a plugin's process has ended, before it is
	// restarted. It must not block.
	Exited func(p core.Principal)
	// Decider is the plugin without which nothing can be decided: it is Healthy
	// only once it has answered (Responds), and it is never given up. Absent is
	// told, without blocking, that it will not be back soon, and how that came
	// about; it is not told of an orderly stop.
	Decider string
	Absent  func(how string)
	// Beside is a plugin that prepares nothing for the Decider: where no other comes
	// before it, the Decider's process starts beside it, and waits for its turn on the
	// bus (Turn).
	Beside string
	Log    *slog.Logger
}

// Orchestrator keeps the plugins of one agent running. Its methods are safe
// for concurrent use.
type Orchestrator struct {
	cfg Config

	mu        sync.Mutex
	plugins   map[string]*plugin // by folded id
	changed   chan struct{}      // closed and replaced when any state changes
	closed    bool
	reloading sync.Mutex // held by Reload
	checks    int
	checked   time.Time // by Monitor

	// sessionless is why no plugin can run in a session; empty if one can.
	sessionless string
	topics      atomic.Pointer[watched]

	patient context.Context // of every grace; rush ends them
	rush    context.CancelFunc
}

// New reads the plugin files. A broken one is a plugin that has Failed and says
// why; it keeps no other from running. The error is that of a directory that
// cannot be read.
func New(cfg Config) (*Orchestrator, error) {
	o := &Orchestrator{cfg: cfg, plugins: map[string]*plugin{}, changed: make(chan struct{})}
	o.patient, o.rush = context.WithCancel(context.Background())
	o.sessionless = o.noSessions()
	list, err := o.load()
	if err != nil {
		return nil, err
	}
	for _, l := range list {
		if err := o.putSettings(l); err != nil {
			l.manifest, l.fault = nil, err.Error()
		}
		if p := o.adopt(l); p.state == view.Failed {
			cfg.Log.Error("plugin file is broken; the plugin does not run", "plugin", p.id, "error", p.lastError)
		}
	}
	o.watchTopics()
	return o, nil
}

// monitoring says how plugins that end are started again.
func (o *Orchestrator) monitoring() settings.Monitoring {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.cfg.Monitoring
}

// SetMonitoring changes that for every plugin, from its next end on.
func (o *Orchestrator) SetMonitoring(m settings.Monitoring) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.cfg.Monitoring = m
}

// sorted returns the plugins by id.
func (o *Orchestrator) sorted() []*plugin {
	return slices.SortedFunc(maps.Values(o.plugins), func(a, b *plugin) int { return strings.Compare(a.id, b.id) })
}

// find returns the plugin with this id in any letter case. The caller holds mu.
func (o *Orchestrator) find(id string) (*plugin, bool) {
	p, ok := o.plugins[strings.ToLower(id)]
	return p, ok
}

// change runs f under the lock and tells everyone who waits for a state.
func (o *Orchestrator) change(f func()) {
	o.mu.Lock()
	defer o.mu.Unlock()
	f()
	close(o.changed)
	o.changed = make(chan struct{})
}

// await blocks until done, called under the lock, is true, or ctx is done.
func (o *Orchestrator) await(ctx context.Context, done func() bool) error {
	for {
		o.mu.Lock()
		ok, changed := done(), o.changed
		o.mu.Unlock()
		if ok {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// tiers returns the plugins that start by themselves, grouped by priority. The caller
// holds mu.
func (o *Orchestrator) tiers() [][]*plugin {
	byPriority := map[int][]*plugin{}
	for _, p := range o.sorted() {
		if m := p.manifest; p.runnable() && m.AutoStart && !m.perSession() {
			byPriority[m.Priority] = append(byPriority[m.Priority], p)
		}
	}
	var tiers [][]*plugin
	for _, priority := range slices.Sorted(maps.Keys(byPriority)) {
		tiers = append(tiers, byPriority[priority])
	}
	return tiers
}

// Start starts the autoStart plugins in order of startupPriority, those of one
// priority together. It goes on to the next when each of the former is Healthy,
// has Failed, or has had readyWithin; the decider waits no longer than
// deciderWaits, and its process not for the plugin Beside. It returns when the last are
// started, or with ctx's error. What cannot be started is that plugin's state.
func (o *Orchestrator) Start(ctx context.Context) error {
	if how := o.startsNot(o.cfg.Decider); how != "" {
		o.absent(o.cfg.Decider, how)
	}
	waits, cancel := context.WithTimeout(ctx, deciderWaits)
	defer cancel()
	o.mu.Lock()
	tiers := o.tiers()
	o.mu.Unlock()
	// However it ends, nobody waits for a turn that does not come.
	defer o.change(func() {
		for _, p := range slices.Concat(tiers...) {
			p.takeTurn()
		}
	})
	for i, tier := range tiers {
		settled := func() bool {
			return !slices.ContainsFunc(slices.Concat(o.tiers()...), func(p *plugin) bool { return p.state == view.Starting && p.turn == nil })
		}
		err := o.await(waits, settled)
		if err != nil && ctx.Err() == nil {
			o.beginDecider()
			waits = ctx
			err = o.await(ctx, settled)
		}
		if err != nil {
			return fmt.Errorf("plugins: start: %w", err)
		}
		for _, p := range tier {
			if _, err := o.beginByItself(p); err != nil {
				return err
			}
			o.change(p.takeTurn)
			if how := o.startsNot(p.id); how != "" { // any more
				o.absent(p.id, how)
			}
		}
		o.beginBeside(waits, tiers[:i+1], tiers[i+1:])
	}
	for _, p := range o.snapshot() {
		if p.instances == nil {
			continue
		}
		if _, err := o.beginByItself(p); err != nil {
			return err
		}
	}
	return nil
}

// deciderWaits is how long the plugin without which nothing is decided waits for
// those whose turn is before it: people wait for it, and not for them.
const deciderWaits = time.Second

// beginDecider starts that plugin, if it is to start by itself and has not.
func (o *Orchestrator) beginDecider() {
	if o.startsNot(o.cfg.Decider) != "" {
		return
	}
	for _, p := range o.snapshot() {
		if o.decides(p) {
			_, _ = o.beginByItself(p) // or its turn comes
			o.change(p.takeTurn)
		}
	}
}

// beginBeside starts the Decider's process if it is next, and who has begun prepares
// nothing for it, after theirs.
func (o *Orchestrator) beginBeside(ctx context.Context, begun, next [][]*plugin) {
	if len(next) == 0 {
		return
	}
	before := slices.Concat(begun...)
	i := slices.IndexFunc(next[0], o.decides)
	if i < 0 || slices.ContainsFunc(before, func(p *plugin) bool { return !strings.EqualFold(p.id, o.cfg.Beside) }) {
		return
	}
	err := o.await(ctx, func() bool {
		return !slices.ContainsFunc(before, func(p *plugin) bool { return p.state == view.Starting && p.process == nil })
	})
	if err != nil {
		return // its turn comes
	}
	p := next[0][i]
	o.change(func() { p.turn = make(chan struct{}) })
	if begun, _ := o.beginByItself(p); !begun {
		o.change(p.takeTurn) // it runs, or is begun and explained when its turn has come
	}
}

// takeTurn lets p onto the bus. The caller holds Orchestrator.mu.
func (p *plugin) takeTurn() {
	if p.turn != nil {
		close(p.turn)
		p.turn = nil
	}
}

// Turn is closed when a principal may come onto the bus, and nil if it may now: a plugin
// whose process has started before its turn may not yet.
func (o *Orchestrator) Turn(p core.Principal) <-chan struct{} {
	o.mu.Lock()
	defer o.mu.Unlock()
	if found := o.of(p); found != nil && found.turn != nil {
		return found.turn
	}
	return nil
}

// startsNot says why a plugin does not start by itself; empty if it does.
func (o *Orchestrator) startsNot(id string) string {
	o.mu.Lock()
	defer o.mu.Unlock()
	p, ok := o.find(id)
	switch {
	case !ok:
		return "is not installed: there is no Plugins/" + id + ".json"
	case p.stop != nil:
		return "" // it has
	case p.manifest == nil:
		return "does not run: its file cannot be used"
	case p.manifest.Disabled != "":
		return "does not run: " + p.manifest.Disabled
	case !p.manifest.AutoStart:
		return "does not run: its file does not say autoStart"
	case p.down:
		return "does not run: somebody has stopped it"
	}
	return ""
}

// Stop stops every plugin, in the reverse order, so that the logger hears the
// others out, and returns when all have ended. When ctx is done, what is left
// is killed at once and the error is ctx's. No plugin starts afterwards.
func (o *Orchestrator) Stop(ctx context.Context) error {
	defer context.AfterFunc(ctx, o.rush)()
	o.change(func() { o.closed = true })
	byPriority := o.snapshot()
	slices.SortStableFunc(byPriority, func(a, b *plugin) int { return priorityOf(b) - priorityOf(a) })
	for len(byPriority) > 0 {
		tier := byPriority[:1]
		for len(tier) < len(byPriority) && priorityOf(byPriority[len(tier)]) == priorityOf(tier[0]) {
			tier = byPriority[:len(tier)+1]
		}
		byPriority = byPriority[len(tier):]
		for _, p := range tier {
			o.change(func() { p.cancel() })
		}
		for _, p := range tier {
			// Not bounded by ctx: each supervisor bounds itself.
			if err := o.awaitStop(context.WithoutCancel(ctx), p); err != nil {
				return err
			}
		}
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("plugins: stop: %w", err)
	}
	return nil
}

func priorityOf(p *plugin) int {
	if p.manifest == nil {
		return 0
	}
	return p.manifest.Priority
}

// Healthy waits until every autoStart plugin is Healthy. It returns earlier
// when the only ones that are not have Failed, were stopped, or have had their time to become
// it, and when ctx is done; the error names them.
func (o *Orchestrator) Healthy(ctx context.Context) error {
	var missing []string
	err := o.await(ctx, func() bool {
		missing = missing[:0]
		waiting := false
		for _, p := range slices.Concat(o.tiers()...) {
			if p.state != view.Healthy {
				missing = append(missing, strings.TrimSuffix(fmt.Sprintf("%s is %s: %s", p.id, p.state, p.lastError), ": "))
				ended := p.down || p.state == view.Stopped && !p.started.IsZero()
				waiting = waiting || p.state != view.Failed && !p.resigned && !ended
			}
		}
		return !waiting
	})
	switch all := strings.Join(missing, "; "); {
	case all == "":
		return nil
	case err != nil:
		return fmt.Errorf("plugins: %s: %w", all, err)
	default:
		return fmt.Errorf("plugins: %s", all)
	}
}

// Has reports whether a file exists for this id, in any letter case.
func (o *Orchestrator) Has(id string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	_, ok := o.find(id)
	return ok
}
