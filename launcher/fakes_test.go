package launcher

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"kpm/core"
	"kpm/core/port"
	"kpm/core/signal"
	"kpm/core/wire"
	"kpm/platform/fake"
)

var (
	root   = core.Account{User: "0", Name: "root", Group: "0", Groups: []string{"0"}, Home: "/root", Shell: "/bin/bash"}
	ada    = core.Account{User: "1000", Name: "ada", Group: "1000", Groups: []string{"1000", "27"}, Home: "/home/ada", Shell: "/bin/sh"}
	policy = core.Principal{Kind: core.Plugin, Name: "KeeperPolicy"}
	self   = core.ProcessID{PID: 10, Start: 1}
	client = core.ProcessID{PID: 500, Start: 5}
)

// fakeFiles has the files of a fake machine, of which those in a list are
// Protected, and fails when a test says so.
type fakeFiles struct {
	*fake.Files
	protected map[string]bool
	opens     atomic.Int64
	copies    atomic.Int64
	fault     map[string]error // by method
	onOpen    func(path string)
}

func (f *fakeFiles) LocateProtected(path string) (*os.File, error) {
	h, err := os.Open(path)
	if err == nil && !f.protected[path] && path != f.Dir {
		h.Close()
		return nil, fmt.Errorf("%s: %w", path, core.ErrNotProtected)
	}
	return h, err
}

func (f *fakeFiles) Inspect(h *os.File) (port.FileInfo, error) {
	st, err := os.Stat(h.Name())
	if err != nil {
		return port.FileInfo{}, err
	}
	sum := sha256.Sum256([]byte(h.Name()))
	return port.FileInfo{Path: h.Name(), Inode: uint64(sum[0])<<8 | uint64(sum[1]), Size: st.Size(), Change: st.ModTime(),
		Regular: st.Mode().IsRegular(), Dir: st.IsDir(), Links: 1, Exec: st.Mode().Perm()&0o111 != 0}, f.fault["Inspect"]
}

func (f *fakeFiles) Protected(h *os.File) error {
	if err := f.fault["Protected"]; err != nil {
		return err
	}
	if !f.protected[h.Name()] {
		return fmt.Errorf("%s: %w", h.Name(), core.ErrNotProtected)
	}
	return nil
}

func (f *fakeFiles) Open(h *os.File) (*os.File, error) {
	f.opens.Add(1)
	if f.onOpen != nil {
		f.onOpen(h.Name())
	}
	if err := f.fault["Open"]; err != nil {
		return nil, err
	}
	return f.Files.Open(h)
}

func (f *fakeFiles) Copy(ctx context.Context, src *os.File, dir, base string, reader core.Account, step func() error) (*os.File, string, error) {
	if err := f.fault["Copy"]; err != nil {
		return nil, "", err
	}
	f.copies.Add(1)
	return f.Files.Copy(ctx, src, dir, base, reader, step)
}

// fakeLauncher holds children that end when the test says so.
type fakeLauncher struct {
	w          *world
	prepareErr error
	releaseErr error
	onPrepare  func()
	onRelease  func()

	mu   sync.Mutex
	held []*fakeHeld

	forgotten []core.ProcessID
}

type fakeHeld struct {
	w         *world
	id        core.ProcessID
	spec      port.LaunchSpec
	content   string // of what would be executed, at release
	process   *fakeProcess
	discarded bool
	recorded  string // the journal at release
}

func (f *fakeLauncher) Prepare(_ context.Context, spec port.LaunchSpec) (port.Held, error) {
	if f.onPrepare != nil {
		f.onPrepare()
	}
	if f.prepareErr != nil {
		return nil, f.prepareErr
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	h := &fakeHeld{w: f.w, id: core.ProcessID{PID: 1000 + len(f.held), Start: 7}, spec: spec}
	f.held = append(f.held, h)
	return h, nil
}

// Resume finds a child that was released, by whichever Launcher.
func (f *fakeLauncher) Resume(id core.ProcessID, _ string) (port.Process, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, h := range f.held {
		if h.id == id && h.process != nil {
			return h.process, nil
		}
	}
	return &neverReleased{id: id}, nil
}

func (f *fakeLauncher) Forget(id core.ProcessID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.forgotten = append(f.forgotten, id)
}

// neverReleased is what is left of a child that was held when its service ended.
type neverReleased struct{ id core.ProcessID }

func (n *neverReleased) ID() core.ProcessID         { return n.id }
func (n *neverReleased) Signal(signal.Signal) error { return os.ErrProcessDone }
func (n *neverReleased) Kill() error                { return nil }
func (n *neverReleased) Wait(context.Context) (core.ExitStatus, error) {
	return core.ExitStatus{}, port.ErrNotReleased
}
func (n *neverReleased) End(ctx context.Context) (core.ExitStatus, error) { return n.Wait(ctx) }

func (f *fakeLauncher) last() *fakeHeld {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.held[len(f.held)-1]
}

func (h *fakeHeld) ID() core.ProcessID { return h.id }

func (h *fakeHeld) Group() string { return fmt.Sprint("group", h.id.PID) }

func (h *fakeHeld) Discard() { h.discarded = true }

func (h *fakeHeld) Release(context.Context) (port.Process, error) {
	if h.w.launch.onRelease != nil {
		h.w.launch.onRelease()
	}
	h.recorded = h.w.recorded()
	data, err := os.ReadFile(h.spec.Executable.Name())
	h.content = string(data)
	if err = errors.Join(err, h.w.launch.releaseErr); err != nil {
		return nil, err
	}
	h.process = &fakeProcess{id: h.id, tree: h.w.tree, exited: make(chan core.ExitStatus, 1), lost: make(chan struct{})}
	return h.process, nil
}

// killed stands for Kill of the whole group in a fakeProcess's signals.
const killed signal.Signal = 255

type fakeProcess struct {
	over   atomic.Bool // how it ended has been said
	id     core.ProcessID
	tree   *fake.Tree
	exited chan core.ExitStatus
	lost   chan struct{} // closed when nobody can say how it ended
	// stubborn processes ignore hangups; unkillable ones everything.
	stubborn, unkillable bool

	mu      sync.Mutex
	signals []signal.Signal // killed is Kill
}

func (p *fakeProcess) ID() core.ProcessID { return p.id }

func (p *fakeProcess) Wait(ctx context.Context) (core.ExitStatus, error) {
	if p.over.Load() {
		return core.ExitStatus{}, nil
	}
	return p.End(ctx)
}

func (p *fakeProcess) End(ctx context.Context) (core.ExitStatus, error) {
	select {
	case s := <-p.exited:
		p.over.Store(true)
		return s, nil
	case <-p.lost:
		return core.ExitStatus{}, port.ErrEndUnknown
	case <-ctx.Done():
		return core.ExitStatus{}, ctx.Err()
	}
}

func (p *fakeProcess) lose() { close(p.lost) }

func (p *fakeProcess) Signal(sig signal.Signal) error {
	p.got(sig)
	if sig == signal.Hangup && !p.stubborn {
		p.exit(core.ExitStatus{Signal: 1})
	}
	return nil
}

func (p *fakeProcess) Kill() error {
	p.got(killed)
	if !p.unkillable {
		p.exit(core.ExitStatus{Signal: 9})
	}
	return nil
}

func (p *fakeProcess) got(sig signal.Signal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.signals = append(p.signals, sig)
}

func (p *fakeProcess) all() []signal.Signal {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.signals)
}

func (p *fakeProcess) exit(s core.ExitStatus) {
	select {
	case p.exited <- s:
	default: // it has ended before
	}
}

// fakeTerminals takes files named tty for terminals.
type fakeTerminals struct {
	openErr       error
	master, slave *os.File
	owner         core.Identity
	rows, columns uint16
}

func (f *fakeTerminals) IsTerminal(h *os.File) bool { return filepath.Base(h.Name()) == "tty" }

func (f *fakeTerminals) Name(*os.File) string { return "pts/7" }

func (f *fakeTerminals) Open(owner core.Identity) (port.Terminal, error) {
	if f.openErr != nil {
		return nil, f.openErr
	}
	f.owner = owner
	var err error
	f.slave, f.master, err = os.Pipe()
	return f, err
}

func (f *fakeTerminals) Resize(rows, columns uint16) error {
	f.rows, f.columns = rows, columns
	return nil
}

func (f *fakeTerminals) HandOver(send func(...*os.File) error) error { return send(f.master) }

func (f *fakeTerminals) Close() error {
	f.master.Close()
	f.slave.Close()
	return nil
}

type fakeBus struct {
	asks     chan wire.PolicyRequest
	events   chan wire.Event
	askErr   error
	raiseErr error

	mu     sync.Mutex
	probed func(id string) // answers probes
}

// onProbe says who answers probes from now on.
func (b *fakeBus) onProbe(f func(id string)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.probed = f
}

func (b *fakeBus) Probe(_ context.Context, id string) error {
	b.mu.Lock()
	f := b.probed
	b.mu.Unlock()
	f(id)
	return nil
}

func (b *fakeBus) Ask(_ context.Context, q wire.PolicyRequest) error {
	if b.askErr == nil {
		b.asks <- q
	}
	return b.askErr
}

// List is heard with the asks; its id stands where a request's would.
func (b *fakeBus) List(ctx context.Context, id string, q wire.PolicyRequest) error {
	q.RequestID = core.RequestID(id)
	return b.Ask(ctx, q)
}

func (b *fakeBus) Raise(_ context.Context, e wire.Event) error {
	if b.raiseErr == nil {
		b.events <- e
	}
	return b.raiseErr
}

// fakeCaller answers prompts from a list, then never.
type fakeCaller struct {
	hears      chan string // what was shown as well; nil if nobody looks
	mu         sync.Mutex
	answers    []any // a string or an error
	prompts    []string
	told       []string
	started    chan *os.File
	startedErr error
	master     *os.File
}

func (c *fakeCaller) Prompt(ctx context.Context, p Prompt, timeout time.Duration) (string, error) {
	c.mu.Lock()
	c.prompts = append(c.prompts, p.Text)
	var next any
	if len(c.answers) > 0 {
		next, c.answers = c.answers[0], c.answers[1:]
	}
	c.mu.Unlock()
	switch a := next.(type) {
	case string:
		return a, nil
	case error:
		return "", a
	}
	select {
	case <-ctx.Done():
		return "", ctx.Err()
	case <-time.After(timeout):
		return "", context.DeadlineExceeded
	}
}

func (c *fakeCaller) Tell(text string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.told = append(c.told, text)
	if c.hears != nil {
		c.hears <- text
	}
	return nil
}

func (c *fakeCaller) HandOver(terminals ...*os.File) error {
	c.master = terminals[0]
	return c.startedErr
}

func (c *fakeCaller) Started() error {
	c.started <- c.master
	return c.startedErr
}
